//! A pickle's stack machine with everything taken out that could do something.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::judge::{self, Judgement};
use super::ops::{self, Op, op_at};
use super::{Call, Described, Import, Pickle};
use crate::engine::file::Faults;
use crate::engine::inspect::Places;

/// Things on the stack, in the memo and in tuples at most.
const MAX_NODES: usize = 1 << 20;
/// Different imports and calls told at most.
const MAX_NAMES: usize = 4096;
/// Tensors told at most.
const MAX_TENSORS: usize = 1 << 17;
/// Pickles within pickles are followed so far.
const MAX_DEPTH: usize = 4;
/// Items of a tuple that are kept; a tensor's has six or seven.
const MAX_TUPLE: usize = 16;

/// A thing on the stack. Large texts and numbers stay in the file.
#[derive(Clone, Debug)]
enum Node {
    /// Nothing that matters.
    Other,
    Mark,
    Int(u64),
    Text {
        bytes: Range<usize>,
        code: u8,
    },
    Tuple(Vec<u32>),
    /// An index into the imports.
    Import(u32),
    /// The result of a call of an import with a tuple.
    Made {
        import: u32,
        arguments: u32,
    },
    /// What the loader gives for a persistent id: a tensor's storage.
    Persistent(u32),
}

const OTHER: u32 = 0;
const MARK: u32 = 1;

pub(super) fn scan(bytes: &[u8], base: usize, depth: usize) -> Pickle {
    let mut machine = Machine {
        bytes,
        base,
        depth,
        nodes: vec![Node::Other, Node::Mark],
        stack: Vec::new(),
        memo: HashMap::new(),
        found: Pickle {
            pickles: 0,
            protocol: 0,
            instructions: 0,
            bytes: 0,
            imports: Vec::new(),
            calls: Vec::new(),
            tensors: Vec::new(),
            faults: Faults::default(),
            judgement: Judgement::Safe,
        },
        imports: BTreeMap::new(),
        calls: BTreeMap::new(),
    };
    machine.run();
    machine.found.judgement = machine.found.imports.iter().map(|i| i.judgement).max().unwrap_or(Judgement::Safe);
    // What cannot be followed to its end cannot be called safe, nor can a call of something computed.
    let computed = machine.found.calls.iter().any(|call| call.target.is_none());
    if computed || !machine.found.faults.is_empty() {
        machine.found.judgement = machine.found.judgement.max(Judgement::Unknown);
    }
    machine.found
}

struct Machine<'a> {
    bytes: &'a [u8],
    base: usize,
    depth: usize,
    nodes: Vec<Node>,
    stack: Vec<u32>,
    memo: HashMap<u64, u32>,
    found: Pickle,
    /// Name and instruction to place in `found.imports`.
    imports: BTreeMap<(String, &'static str, bool), u32>,
    calls: BTreeMap<(Option<String>, &'static str), usize>,
}

impl Machine<'_> {
    fn run(&mut self) {
        let mut at = 0;
        loop {
            let op = match op_at(self.bytes, at) {
                Ok((op, next)) => {
                    at = next;
                    op
                }
                Err(what) => return self.fault(at, what),
            };
            self.found.instructions += 1;
            self.found.bytes = at as u64;
            if op.code == b'.' {
                self.found.pickles += 1;
                // The next one, if there is one: anything else behind is data.
                let another = matches!(self.bytes.get(at..), Some([0x80, 2..=5, ..]));
                if !another {
                    return;
                }
                self.stack.clear();
                self.memo.clear();
                self.nodes.truncate(2);
                continue;
            }
            if let Err(what) = self.step(&op) {
                return self.fault(op.at, what);
            }
            if self.stack.len() > MAX_NODES || self.nodes.len() > MAX_NODES || self.memo.len() > MAX_NODES {
                return self.fault(op.at, "a pickle larger than any checkpoint's; it is not followed further");
            }
        }
    }

    fn fault(&mut self, at: usize, what: &str) {
        self.found.faults.at(self.base + at, what);
    }

    fn step(&mut self, op: &Op) -> Result<(), &'static str> {
        match op.code {
            0x80 => self.found.protocol = self.found.protocol.max(self.bytes[op.arg.start]),
            0x95 => {}
            b'(' => self.stack.push(MARK),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'2' => {
                let top = *self.stack.last().ok_or(EMPTY)?;
                self.stack.push(top);
            }
            b'K' | b'M' | b'J' | 0x8A => {
                let arg = &self.bytes[op.arg.clone()];
                let node = if arg.len() <= 8 { Node::Int(ops::number(arg)) } else { Node::Other };
                self.push(node);
            }
            b'I' | b'L' => {
                let line = String::from_utf8_lossy(&self.bytes[op.arg.start..op.arg.end.min(op.arg.start + 32)]);
                let node = line.trim().trim_end_matches('L').parse().map_or(Node::Other, Node::Int);
                self.push(node);
            }
            b'S' | b'T' | b'U' | b'V' | b'X' | 0x8C | 0x8D => self.text(op),
            b'B' | b'C' | 0x8E | 0x96 => {
                self.nested(op.arg.clone());
                self.text(op);
            }
            b'N' | b'F' | b'G' | 0x88 | 0x89 | 0x8B | b'}' | b']' | 0x8F | 0x97 => self.stack.push(OTHER),
            b')' => self.push(Node::Tuple(Vec::new())),
            0x98 => drop(self.stack.last().ok_or(EMPTY)?),
            b'd' | b'l' | 0x91 => {
                self.pop_mark()?;
                self.stack.push(OTHER);
            }
            b't' => {
                let items = self.pop_mark()?;
                self.tuple(items);
            }
            0x85..=0x87 => {
                let len = usize::from(op.code - 0x84);
                let from = self.stack.len().checked_sub(len).ok_or(EMPTY)?;
                let items = self.stack.split_off(from);
                self.tuple(items);
            }
            b'a' => drop(self.pop()?),
            b'e' | 0x90 => drop(self.pop_mark()?),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.describe(key, value);
            }
            b'u' => {
                let items = self.pop_mark()?;
                for pair in items.as_chunks::<2>().0 {
                    self.describe(pair[0], pair[1]);
                }
            }
            b'p' | b'q' | b'r' | b'g' | b'h' | b'j' | 0x94 => self.memo(op)?,
            b'P' => self.push(Node::Persistent(OTHER)),
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id));
            }
            _ => self.act(op)?,
        }
        Ok(())
    }

    /// The instructions that import, call or change.
    fn act(&mut self, op: &Op) -> Result<(), &'static str> {
        let instruction = ops::name(op.code);
        match op.code {
            b'c' => {
                let import = self.import_lines(op);
                self.push(Node::Import(import));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let import = match (self.text_of(module), self.text_of(name)) {
                    (Some(module), Some(name)) => self.import(op.at, instruction, &module, &name),
                    // Nothing honest computes a name.
                    _ => self.add_import(
                        op.at,
                        instruction,
                        "(a name that the pickle computes)".into(),
                        Judgement::Dangerous,
                    ),
                };
                self.push(Node::Import(import));
            }
            0x82..=0x84 => {
                let number = ops::number(&self.bytes[op.arg.clone()]);
                let import = self.add_import(op.at, instruction, format!("(extension {number})"), Judgement::Unknown);
                self.push(Node::Import(import));
            }
            b'i' => {
                self.pop_mark()?;
                let import = self.import_lines(op);
                self.call(op.at, instruction, Some(import));
                self.push(Node::Made { import, arguments: OTHER });
            }
            b'R' | 0x81 => {
                let (arguments, target) = (self.pop()?, self.pop()?);
                self.made(op, target, arguments);
            }
            0x92 => {
                let (_, arguments, target) = (self.pop()?, self.pop()?, self.pop()?);
                self.made(op, target, arguments);
            }
            b'o' => {
                let items = self.pop_mark()?;
                self.made(op, *items.first().ok_or(EMPTY)?, OTHER);
            }
            b'b' => {
                self.pop()?;
                let target = *self.stack.last().ok_or(EMPTY)?;
                // State is given to an object that a class made; what is imported itself is changed for all of the
                // program.
                let made = match self.nodes[target as usize] {
                    Node::Made { import, .. } => Some(import),
                    _ => None,
                };
                self.call(op.at, instruction, made);
            }
            _ => return Err("a byte that is no pickle instruction"),
        }
        Ok(())
    }

    fn made(&mut self, op: &Op, target: u32, arguments: u32) {
        let node = match self.nodes[target as usize] {
            Node::Import(import) => {
                self.call(op.at, ops::name(op.code), Some(import));
                Node::Made { import, arguments }
            }
            _ => {
                self.call(op.at, ops::name(op.code), None);
                Node::Other
            }
        };
        self.push(node);
    }

    fn memo(&mut self, op: &Op) -> Result<(), &'static str> {
        let key = match op.code {
            b'p' | b'g' => String::from_utf8_lossy(&self.bytes[op.arg.start..op.arg.end.min(op.arg.start + 32)])
                .trim()
                .parse()
                .map_err(|_| "a place in the memo that is no number")?,
            0x94 => self.memo.len() as u64,
            _ => ops::number(&self.bytes[op.arg.clone()]),
        };
        if matches!(op.code, b'g' | b'h' | b'j') {
            let node = *self.memo.get(&key).ok_or("a place in the memo that is empty")?;
            self.stack.push(node);
        } else {
            let top = *self.stack.last().ok_or(EMPTY)?;
            self.memo.insert(key, top);
        }
        Ok(())
    }

    fn push(&mut self, node: Node) {
        self.stack.push(self.nodes.len() as u32);
        self.nodes.push(node);
    }

    fn text(&mut self, op: &Op) {
        self.push(Node::Text { bytes: op.arg.clone(), code: op.code });
    }

    fn tuple(&mut self, mut items: Vec<u32>) {
        items.truncate(MAX_TUPLE);
        self.push(Node::Tuple(items));
    }

    fn pop(&mut self) -> Result<u32, &'static str> {
        self.stack.pop().filter(|top| *top != MARK).ok_or(EMPTY)
    }

    /// All that stands above the last mark, which goes too.
    fn pop_mark(&mut self) -> Result<Vec<u32>, &'static str> {
        let mark = self.stack.iter().rposition(|item| *item == MARK).ok_or("a mark is missing on the stack")?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn text_of(&self, node: u32) -> Option<String> {
        match &self.nodes[node as usize] {
            Node::Text { bytes, code } => ops::text(&self.bytes[bytes.clone()], *code),
            _ => None,
        }
    }

    fn import_lines(&mut self, op: &Op) -> u32 {
        let line = |range: &Range<usize>| {
            ops::text(&self.bytes[range.clone()], op.code).map(|line| line.trim_end_matches('\r').to_owned())
        };
        match (line(&op.arg), line(&op.arg2)) {
            (Some(module), Some(name)) => self.import(op.at, ops::name(op.code), &module, &name),
            _ => self.add_import(op.at, ops::name(op.code), "(a name too long to be one)".into(), Judgement::Dangerous),
        }
    }

    fn import(&mut self, at: usize, instruction: &'static str, module: &str, name: &str) -> u32 {
        self.add_import(at, instruction, format!("{module}.{name}"), judge::judge(module, name))
    }

    fn add_import(&mut self, at: usize, instruction: &'static str, name: String, judgement: Judgement) -> u32 {
        let key = (name, instruction, self.depth > 0);
        let place = match self.imports.get(&key) {
            Some(place) => *place,
            None if self.imports.len() >= MAX_NAMES => {
                // Counted with the last one; the worst judgement stays.
                let last = self.found.imports.len() - 1;
                let import = &mut self.found.imports[last];
                import.name = "(more names than are told)".into();
                import.judgement = import.judgement.max(judgement);
                last as u32
            }
            None => {
                let place = self.found.imports.len() as u32;
                let (name, nested) = (key.0.clone(), key.2);
                self.found.imports.push(Import { name, instruction, judgement, nested, places: Places::default() });
                self.imports.insert(key, place);
                place
            }
        };
        self.found.imports[place as usize].places.add(self.base + at);
        place
    }

    fn call(&mut self, at: usize, instruction: &'static str, import: Option<u32>) {
        let target = import.map(|import| self.found.imports[import as usize].name.clone());
        let key = (target, instruction);
        let place = match self.calls.get(&key) {
            Some(place) => *place,
            None => {
                let place = self.found.calls.len();
                self.found.calls.push(Call { instruction, target: key.0.clone(), places: Places::default() });
                self.calls.insert(key, place);
                place
            }
        };
        self.found.calls[place].places.add(self.base + at);
    }

    /// A pickle inside bytes is loaded by whoever is given them: its imports count as this one's.
    fn nested(&mut self, bytes: Range<usize>) {
        let inner = &self.bytes[bytes.clone()];
        let is_marked = matches!(inner, [0x80, 2..=5, ..]);
        if self.depth >= MAX_DEPTH || inner.len() < 4 || !(is_marked || matches!(inner[0], b'c' | b'(')) {
            return;
        }
        let found = scan(inner, self.base + bytes.start, self.depth + 1);
        // Bytes that only begin like a pickle import nothing.
        for import in found.imports {
            let key = (import.name.clone(), import.instruction, true);
            if !self.imports.contains_key(&key) && self.imports.len() < MAX_NAMES {
                self.imports.insert(key, self.found.imports.len() as u32);
                self.found.imports.push(Import { nested: true, ..import });
            }
        }
    }

    /// Notes a key's value if it is a tensor.
    fn describe(&mut self, key: u32, value: u32) {
        if self.found.tensors.len() < MAX_TENSORS
            && let Some(name) = self.text_of(key)
            && let Some(described) = self.tensor(name, value, 0)
        {
            self.found.tensors.push(described);
        }
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, …)`, perhaps within `_rebuild_parameter`.
    fn tensor(&self, name: String, node: u32, depth: usize) -> Option<Described> {
        let Node::Made { import, arguments } = self.nodes[node as usize] else { return None };
        let Node::Tuple(arguments) = &self.nodes[arguments as usize] else { return None };
        match self.found.imports[import as usize].name.as_str() {
            "torch._utils._rebuild_parameter" if depth < 2 => self.tensor(name, *arguments.first()?, depth + 1),
            "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor" => {
                let Node::Persistent(id) = self.nodes[*arguments.first()? as usize] else { return None };
                let Node::Tuple(id) = &self.nodes[id as usize] else { return None };
                let Node::Import(storage) = self.nodes[*id.get(1)? as usize] else { return None };
                let Node::Tuple(size) = &self.nodes[*arguments.get(2)? as usize] else { return None };
                let shape = size.iter().map(|d| match self.nodes[*d as usize] {
                    Node::Int(n) => Some(n),
                    _ => None,
                });
                Some(Described {
                    name,
                    storage: self.found.imports[storage as usize].name.clone(),
                    key: self.text_of(*id.get(2)?)?,
                    shape: shape.collect::<Option<_>>()?,
                })
            }
            _ => None,
        }
    }
}

const EMPTY: &str = "the stack is empty where something is needed";
