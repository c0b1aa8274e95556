//! Rules as nodes that read one byte each: Thompson's construction, with calls for rules.

use std::collections::HashMap;

use regex_syntax::utf8::Utf8Sequences;

use super::{Expr, GrammarError, Rules, TokenName};

/// The most nodes that a grammar may become.
const MAX_NODES: usize = 400_000;
/// The most rules, those made for repetitions included.
const MAX_RULES: usize = 20_000;
/// An item with more nodes than this becomes a rule of its own where it is repeated.
const SMALL: usize = 4;

/// A node's place.
pub type NodeId = u32;

/// One step of a rule.
#[derive(Clone, Debug)]
pub enum Node {
    /// Reads a byte in `from..=to`.
    Byte { from: u8, to: u8, next: NodeId },
    /// Reads a whole token.
    Token { token: TokenName, is_negated: bool, next: NodeId },
    /// Reads what a rule stands for.
    Call { rule: u32, next: NodeId },
    /// Goes on at each of these.
    Split(Vec<NodeId>),
    /// The rule is at its end.
    End,
}

/// The node [`Node::End`]; all rules share it.
pub const END: NodeId = 0;

/// A grammar as nodes.
#[derive(Debug)]
pub struct Program {
    pub nodes: Vec<Node>,
    /// Where each rule begins.
    pub entries: Vec<NodeId>,
    pub root: usize,
    /// Bytes that no node tells apart share a class.
    pub classes: [u8; 256],
    /// A byte of each class.
    pub examples: Vec<u8>,
    pub has_tokens: bool,
}

impl Program {
    /// Compiles rules.
    ///
    /// # Errors
    /// The grammar grows too large, or a rule begins with itself.
    pub fn compile(rules: &Rules) -> Result<Self, GrammarError> {
        let mut compiler = Compiler { nodes: vec![Node::End], entries: vec![END; rules.rules.len()] };
        for (place, rule) in rules.rules.iter().enumerate() {
            compiler.entries[place] =
                compiler.build(&rule.body, END).map_err(|what| GrammarError::at(rule.at, what))?;
        }
        let Compiler { nodes, entries } = compiler;
        let mut is_edge = [false; 257];
        let mut has_tokens = false;
        for node in &nodes {
            match node {
                Node::Byte { from, to, .. } => {
                    is_edge[usize::from(*from)] = true;
                    is_edge[usize::from(*to) + 1] = true;
                }
                Node::Token { .. } => has_tokens = true,
                _ => {}
            }
        }
        let (mut classes, mut examples) = ([0; 256], vec![0]);
        for byte in 1..=255_u8 {
            if is_edge[usize::from(byte)] {
                examples.push(byte);
            }
            classes[usize::from(byte)] = (examples.len() - 1) as u8;
        }
        let program = Self { nodes, entries, root: rules.root, classes, examples, has_tokens };
        program.refuse_left_recursion(rules)?;
        Ok(program)
    }

    /// A rule that can begin with itself would be entered without end.
    fn refuse_left_recursion(&self, rules: &Rules) -> Result<(), GrammarError> {
        let nullable = self.nullable();
        let begins: Vec<Vec<u32>> = (0..self.entries.len()).map(|rule| self.begins_with(rule, &nullable)).collect();
        // Depth first over "begins with", with a stack of our own; a rule on the way that comes again is a circle.
        let (mut is_done, mut is_on_way) = (vec![false; begins.len()], vec![false; begins.len()]);
        for start in 0..begins.len() {
            let mut way = vec![(start, 0)];
            while let Some((rule, tried)) = way.last_mut() {
                if is_done[*rule] {
                    way.pop();
                    continue;
                }
                is_on_way[*rule] = true;
                let Some(next) = begins[*rule].get(*tried).map(|next| *next as usize) else {
                    is_on_way[*rule] = false;
                    is_done[*rule] = true;
                    way.pop();
                    continue;
                };
                *tried += 1;
                if is_on_way[next] {
                    let from = way.iter().position(|(rule, _)| *rule == next).unwrap_or(0);
                    let named = way[from..].iter().filter_map(|(rule, _)| rules.rules.get(*rule));
                    let mut names: Vec<&str> = named.map(|rule| rule.name.as_str()).collect();
                    names.push(names.first().copied().unwrap_or("it"));
                    let at = way[from..].iter().find_map(|(rule, _)| rules.rules.get(*rule)).map_or((0, 0), |r| r.at);
                    let what = format!(
                        "a rule begins with itself ({}), which cannot be read from left to right; use `*` or `+`, or \
                         let it come last",
                        names.join(" → ")
                    );
                    return Err(GrammarError::at(at, what));
                }
                way.push((next, 0));
            }
        }
        Ok(())
    }

    /// Rules that can stand for nothing.
    fn nullable(&self) -> Vec<bool> {
        let mut nullable = vec![false; self.entries.len()];
        let mut callers: Vec<Vec<u32>> = vec![Vec::new(); self.entries.len()];
        for rule in 0..self.entries.len() {
            let mut called = Vec::new();
            self.visit(
                rule,
                |node| {
                    if let Node::Call { rule, .. } = node {
                        called.push(*rule)
                    }
                },
                |_| true,
            );
            called.sort_unstable();
            called.dedup();
            called.iter().for_each(|callee| callers[*callee as usize].push(rule as u32));
        }
        let mut dirty: Vec<u32> = (0..self.entries.len() as u32).collect();
        while !dirty.is_empty() {
            let mut next = Vec::new();
            for rule in std::mem::take(&mut dirty) {
                if !nullable[rule as usize] && self.visit(rule as usize, |_| {}, |callee| nullable[callee as usize]) {
                    nullable[rule as usize] = true;
                    next.extend(callers[rule as usize].iter().filter(|caller| !nullable[**caller as usize]));
                }
            }
            next.sort_unstable();
            next.dedup();
            dirty = next;
        }
        nullable
    }

    /// Rules that a rule may enter before it has read anything.
    fn begins_with(&self, rule: usize, nullable: &[bool]) -> Vec<u32> {
        let mut out = Vec::new();
        let mut see = |node: &Node| {
            if let Node::Call { rule, .. } = node {
                out.push(*rule);
            }
        };
        self.visit(rule, &mut see, |callee| nullable[callee as usize]);
        out.sort_unstable();
        out.dedup();
        out
    }

    /// Goes through the nodes of a rule that can be reached without reading, calls being passed where `passes` says
    /// so; whether the end is among them.
    fn visit(&self, rule: usize, mut see: impl FnMut(&Node), passes: impl Fn(u32) -> bool) -> bool {
        let mut seen = std::collections::HashSet::new();
        let mut open = vec![self.entries[rule]];
        let mut ends = false;
        while let Some(at) = open.pop() {
            if !seen.insert(at) {
                continue;
            }
            let node = &self.nodes[at as usize];
            see(node);
            match node {
                Node::Split(all) => open.extend(all),
                Node::Call { rule, next } if passes(*rule) => open.push(*next),
                Node::End => ends = true,
                Node::Byte { .. } | Node::Token { .. } | Node::Call { .. } => {}
            }
        }
        ends
    }
}

/// Whether an item becomes few nodes.
fn is_small(expr: &Expr, budget: &mut usize) -> bool {
    let cost = match expr {
        Expr::Literal(text) => text.len(),
        Expr::Class(ranges) if ranges.iter().all(|(_, to)| to.is_ascii()) => ranges.len(),
        Expr::Token { .. } | Expr::Rule(_) => 1,
        Expr::Sequence(all) => return all.iter().all(|part| is_small(part, budget)),
        Expr::Class(_) | Expr::Choice(_) | Expr::Repeat { .. } => return false,
    };
    let left = budget.checked_sub(cost);
    *budget = left.unwrap_or(0);
    left.is_some()
}

struct Compiler {
    nodes: Vec<Node>,
    entries: Vec<NodeId>,
}

impl Compiler {
    fn push(&mut self, node: Node) -> Result<NodeId, String> {
        if self.nodes.len() >= MAX_NODES {
            return Err(format!("the grammar grows to more than {MAX_NODES} steps; repeat less, or shorter things"));
        }
        self.nodes.push(node);
        Ok((self.nodes.len() - 1) as NodeId)
    }

    /// The first node of something after which `next` comes. Built from the end.
    fn build(&mut self, expr: &Expr, next: NodeId) -> Result<NodeId, String> {
        match expr {
            Expr::Literal(text) => {
                text.bytes().rev().try_fold(next, |next, b| self.push(Node::Byte { from: b, to: b, next }))
            }
            Expr::Class(ranges) => self.class(ranges, next),
            Expr::Token { token, is_negated } => {
                self.push(Node::Token { token: token.clone(), is_negated: *is_negated, next })
            }
            Expr::Rule(place) => self.push(Node::Call { rule: *place as u32, next }),
            Expr::Sequence(all) => all.iter().rev().try_fold(next, |next, part| self.build(part, next)),
            Expr::Choice(all) => {
                let ways = all.iter().map(|part| self.build(part, next)).collect::<Result<_, _>>()?;
                self.push(Node::Split(ways))
            }
            Expr::Repeat { of, min, max } => self.repeat(of, *min, *max, next),
        }
    }

    fn repeat(&mut self, of: &Expr, min: u32, max: Option<u32>, next: NodeId) -> Result<NodeId, String> {
        let copies = max.unwrap_or(min.saturating_add(1));
        // Many copies of something large are many calls of one rule.
        let called;
        let of = if copies > 1 && !is_small(of, &mut SMALL.clone()) {
            if self.entries.len() >= MAX_RULES {
                return Err(format!("the grammar grows to more than {MAX_RULES} rules"));
            }
            let entry = self.build(of, END)?;
            self.entries.push(entry);
            called = Expr::Rule(self.entries.len() - 1);
            &called
        } else {
            of
        };
        let mut tail = next;
        match max {
            None => {
                let turn = self.push(Node::Split(Vec::new()))?;
                let again = self.build(of, turn)?;
                self.nodes[turn as usize] = Node::Split(vec![again, next]);
                tail = turn;
            }
            Some(max) => {
                for _ in min..max {
                    let once = self.build(of, tail)?;
                    tail = self.push(Node::Split(vec![once, next]))?;
                }
            }
        }
        for _ in 0..min {
            tail = self.build(of, tail)?;
        }
        Ok(tail)
    }

    /// One character as its UTF-8 bytes; endings that several ranges share are built once.
    fn class(&mut self, ranges: &[(char, char)], next: NodeId) -> Result<NodeId, String> {
        let mut made = HashMap::new();
        let mut ways = Vec::new();
        for (from, to) in ranges {
            for sequence in Utf8Sequences::new(*from, *to) {
                let mut at = next;
                for range in sequence.as_slice().iter().rev() {
                    let key = (range.start, range.end, at);
                    at = match made.get(&key) {
                        Some(node) => *node,
                        None => {
                            let node = self.push(Node::Byte { from: range.start, to: range.end, next: at })?;
                            made.insert(key, node);
                            node
                        }
                    };
                }
                ways.push(at);
            }
        }
        ways.dedup();
        if ways.len() == 1 { Ok(ways[0]) } else { self.push(Node::Split(ways)) }
    }
}
