//! Writes small GGUF files byte by byte, faults included: for tests of the reader and of the engine.

/// Builds a file byte by byte, faults included.
#[derive(Default)]
pub(crate) struct Builder {
    pub keys: Vec<(String, u32, Vec<u8>)>,
    pub tensors: Vec<(String, Vec<u64>, u32, Vec<u8>)>,
}

pub fn text(s: &str) -> Vec<u8> {
    [&(s.len() as u64).to_le_bytes()[..], s.as_bytes()].concat()
}

pub fn texts(items: &[&str]) -> Vec<u8> {
    let head = [&8_u32.to_le_bytes()[..], &(items.len() as u64).to_le_bytes()].concat();
    items.iter().fold(head, |mut out, s| {
        out.extend(text(s));
        out
    })
}

impl Builder {
    pub fn uint(mut self, key: &str, n: u32) -> Self {
        self.keys.push((key.into(), 4, n.to_le_bytes().into()));
        self
    }
    pub fn float(mut self, key: &str, x: f32) -> Self {
        self.keys.push((key.into(), 6, x.to_le_bytes().into()));
        self
    }
    pub fn text(mut self, key: &str, s: &str) -> Self {
        self.keys.push((key.into(), 8, text(s)));
        self
    }
    pub fn texts(mut self, key: &str, items: &[&str]) -> Self {
        self.keys.push((key.into(), 9, texts(items)));
        self
    }
    /// Dimensions innermost first, as GGUF has them.
    pub fn tensor(mut self, name: &str, dims: &[u64], kind: u32, bytes: Vec<u8>) -> Self {
        self.tensors.push((name.into(), dims.into(), kind, bytes));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(3_u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.keys.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.keys {
            out.extend(text(key));
            out.extend(kind.to_le_bytes());
            out.extend(value);
        }
        let mut offset = 0_u64;
        for (name, dims, kind, bytes) in &self.tensors {
            out.extend(text(name));
            out.extend((dims.len() as u32).to_le_bytes());
            dims.iter().for_each(|d| out.extend(d.to_le_bytes()));
            out.extend(kind.to_le_bytes());
            out.extend(offset.to_le_bytes());
            offset += (bytes.len() as u64).next_multiple_of(32);
        }
        out.resize(out.len().next_multiple_of(32), 0);
        for (_, _, _, bytes) in &self.tensors {
            out.extend(bytes);
            out.resize(out.len().next_multiple_of(32), 0);
        }
        out
    }
}
