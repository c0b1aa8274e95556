//! All ways through a grammar at once, remembered: a state is a set of places, each with the calls it came through.
//!
//! A place is a node and a stack of nodes to return to. Stacks are shared (a frame points to the one below), so equal
//! stacks are equal numbers, equal sets are equal states, and a byte that was read before costs one look-up. A call
//! in last place leaves no frame, so lists written with recursion do not grow.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::GrammarError;
use super::program::{END, Node, NodeId, Program};

/// A state's number; valid until [`Automaton::tidy`].
pub type StateId = u32;

/// A node, and the frame to return to.
type Place = (NodeId, u32);

/// The frame below which there is none.
const BOTTOM: u32 = 0;
const UNKNOWN: StateId = u32::MAX;
const DEAD: StateId = u32::MAX - 1;

/// More places than this in a state, and the grammar is refused as too ambiguous.
const MAX_PLACES: usize = 20_000;
/// Frames and places that may be made before [`Automaton::tidy`]: bounds time and memory of a step.
const MAX_WORK: usize = 8_000_000;
/// States kept until the next tidying.
const MAX_STATES: usize = 20_000;

/// A grammar being followed.
#[derive(Debug)]
pub struct Automaton {
    program: Arc<Program>,
    /// `(return to, frame below)`; the first is the bottom.
    frames: Vec<(NodeId, u32)>,
    frame_ids: HashMap<(NodeId, u32), u32>,
    states: Vec<Arc<[Place]>>,
    state_ids: HashMap<Arc<[Place]>, StateId>,
    /// For each state, where each class of bytes leads.
    table: Vec<StateId>,
    work: usize,
}

impl Automaton {
    /// At the beginning of the grammar.
    ///
    /// # Errors
    /// The beginning alone has too many ways.
    pub fn new(program: Arc<Program>) -> Result<Self, GrammarError> {
        let mut automaton = Self {
            program,
            frames: vec![(END, BOTTOM)],
            frame_ids: HashMap::new(),
            states: Vec::new(),
            state_ids: HashMap::new(),
            table: Vec::new(),
            work: 0,
        };
        let entry = automaton.program.entries[automaton.program.root];
        automaton.close(vec![(entry, BOTTOM)])?;
        Ok(automaton)
    }

    /// The state at the beginning.
    pub fn start(&self) -> StateId {
        0
    }

    /// Whether the text may end here.
    pub fn is_accepting(&self, state: StateId) -> bool {
        // Sorted, and the end is node 0.
        self.states[state as usize].first() == Some(&(END, BOTTOM))
    }

    /// Whether nothing can follow.
    pub fn is_final(&self, state: StateId) -> bool {
        self.states[state as usize].iter().all(|place| *place == (END, BOTTOM))
    }

    /// The class of a byte: bytes of one class lead to the same states.
    pub fn class(&self, byte: u8) -> u8 {
        self.program.classes[usize::from(byte)]
    }

    /// The state after a byte; `None` where it is not allowed.
    ///
    /// # Errors
    /// There are too many ways to read what came so far.
    pub fn step(&mut self, state: StateId, byte: u8) -> Result<Option<StateId>, GrammarError> {
        self.step_class(state, self.class(byte))
    }

    /// As [`Automaton::step`], for a class.
    ///
    /// # Errors
    /// As [`Automaton::step`].
    #[inline]
    pub fn step_class(&mut self, state: StateId, class: u8) -> Result<Option<StateId>, GrammarError> {
        let at = state as usize * self.program.examples.len() + usize::from(class);
        match self.table[at] {
            DEAD => Ok(None),
            UNKNOWN => {
                let byte = self.program.examples[usize::from(class)];
                let reads = |place: &Place| match self.program.nodes[place.0 as usize] {
                    Node::Byte { from, to, next } if (from..=to).contains(&byte) => Some((next, place.1)),
                    _ => None,
                };
                let places = self.states[state as usize].iter().filter_map(reads).collect();
                let next = self.close(places)?;
                self.table[at] = next.unwrap_or(DEAD);
                Ok(next)
            }
            next => Ok(Some(next)),
        }
    }

    /// Whether a whole token is read anywhere in this state.
    pub fn reads_tokens(&self, state: StateId) -> bool {
        self.program.has_tokens && self.tokens(state).next().is_some()
    }

    /// The places of a state that read a whole token: token node and what follows.
    pub fn tokens(&self, state: StateId) -> impl Iterator<Item = (&Node, Place)> {
        self.states[state as usize].iter().filter_map(|(node, frame)| match &self.program.nodes[*node as usize] {
            node @ Node::Token { next, .. } => Some((node, (*next, *frame))),
            _ => None,
        })
    }

    /// The state in which all of these places and those of another state are; `None` if there are none.
    ///
    /// # Errors
    /// As [`Automaton::step`].
    pub fn join(&mut self, mut places: Vec<Place>, other: Option<StateId>) -> Result<Option<StateId>, GrammarError> {
        if let Some(other) = other {
            places.extend(self.states[other as usize].iter());
        }
        self.close(places)
    }

    /// Forgets all but one state if there are many; gives that state's new number, and whether numbers have changed.
    pub fn tidy(&mut self, state: StateId) -> (StateId, bool) {
        if self.states.len() < MAX_STATES && self.work < MAX_WORK / 2 {
            return (state, false);
        }
        let places = self.states[state as usize].clone();
        let old = std::mem::replace(&mut self.frames, vec![(END, BOTTOM)]);
        self.frame_ids.clear();
        self.states.clear();
        self.state_ids.clear();
        self.table.clear();
        let mut new_of = HashMap::from([(BOTTOM, BOTTOM)]);
        let mut moved: Vec<Place> = Vec::with_capacity(places.len());
        for (node, frame) in places.iter() {
            // Down to a frame that is there already, then up again.
            let mut way = Vec::new();
            let mut at = *frame;
            while !new_of.contains_key(&at) {
                way.push(at);
                at = old[at as usize].1;
            }
            let mut below = new_of[&at];
            for frame in way.into_iter().rev() {
                below = self.frame(old[frame as usize].0, below);
                new_of.insert(frame, below);
            }
            moved.push((*node, below));
        }
        self.work = 0;
        moved.sort_unstable();
        (self.intern(moved), true)
    }

    fn frame(&mut self, back: NodeId, below: u32) -> u32 {
        *self.frame_ids.entry((back, below)).or_insert_with(|| {
            self.frames.push((back, below));
            (self.frames.len() - 1) as u32
        })
    }

    /// The state of these places, followed through splits, calls and returns to where something is read.
    fn close(&mut self, mut open: Vec<Place>) -> Result<Option<StateId>, GrammarError> {
        let program = self.program.clone();
        let (mut seen, mut places) = (HashSet::new(), Vec::new());
        while let Some((at, frame)) = open.pop() {
            if !seen.insert((at, frame)) {
                continue;
            }
            self.work += 1;
            if seen.len() > MAX_PLACES || self.work > MAX_WORK {
                let what = "the grammar can be read in too many ways at once; make its alternatives begin differently";
                return Err(GrammarError::new(what));
            }
            match &program.nodes[at as usize] {
                Node::Byte { .. } | Node::Token { .. } => places.push((at, frame)),
                Node::Split(all) => open.extend(all.iter().map(|node| (*node, frame))),
                Node::Call { rule, next } => {
                    let frame = if *next == END { frame } else { self.frame(*next, frame) };
                    open.push((program.entries[*rule as usize], frame));
                }
                Node::End if frame == BOTTOM => places.push((END, BOTTOM)),
                Node::End => open.push(self.frames[frame as usize]),
            }
        }
        if places.is_empty() {
            return Ok(None);
        }
        places.sort_unstable();
        Ok(Some(self.intern(places)))
    }

    fn intern(&mut self, places: Vec<Place>) -> StateId {
        if let Some(state) = self.state_ids.get(places.as_slice()) {
            return *state;
        }
        let places: Arc<[Place]> = places.into();
        let state = self.states.len() as StateId;
        self.states.push(places.clone());
        self.state_ids.insert(places, state);
        self.table.resize(self.states.len() * self.program.examples.len(), UNKNOWN);
        state
    }
}
