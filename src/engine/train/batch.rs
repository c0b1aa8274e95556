//! Documents, and batches of them packed end to end.

use std::iter::Peekable;
use std::ops::Range;

use super::super::{EngineError, TokenId};

/// A text to learn from. It is never cut, and attention never leaves it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// Its tokens, the beginning and the end among them where the model is to see them.
    pub tokens: Vec<TokenId>,
    /// How much it counts to foresee each token; as many as tokens. Nothing foresees the first, so its weight is not
    /// looked at. 0 leaves a token out (a prompt), a negative weight teaches against it.
    pub weights: Vec<f32>,
}

impl Document {
    /// A document of which every token counts in full.
    pub fn whole(tokens: Vec<TokenId>) -> Self {
        let weights = vec![1.0; tokens.len()];
        Self { tokens, weights }
    }

    /// A prompt that counts nothing and an answer that counts in full.
    pub fn answer(prompt: &[TokenId], answer: &[TokenId]) -> Self {
        let weights = [vec![0.0; prompt.len()], vec![1.0; answer.len()]].concat();
        Self { tokens: [prompt, answer].concat(), weights }
    }

    /// Tokens that the model reads: all but the last, after which nothing is to be foreseen.
    pub fn inputs(&self) -> usize {
        self.tokens.len().saturating_sub(1)
    }
}

/// Documents end to end, as a forward pass takes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// What the model reads.
    pub tokens: Vec<TokenId>,
    /// The token after each.
    pub targets: Vec<TokenId>,
    /// How much each target counts.
    pub weights: Vec<f32>,
    /// Where each document lies, in order and without gaps.
    pub documents: Vec<Range<usize>>,
}

impl Batch {
    /// Packs documents; those of fewer than two tokens leave nothing to foresee and take no room.
    ///
    /// # Panics
    /// When a document has not as many weights as tokens.
    pub fn of<'a>(documents: impl IntoIterator<Item = &'a Document>) -> Self {
        let mut batch = Self::default();
        for document in documents {
            let Document { tokens, weights } = document;
            assert_eq!(tokens.len(), weights.len(), "a document has a weight for each token");
            if document.inputs() == 0 {
                continue;
            }
            let start = batch.tokens.len();
            batch.tokens.extend(&tokens[..tokens.len() - 1]);
            batch.targets.extend(&tokens[1..]);
            batch.weights.extend(&weights[1..]);
            batch.documents.push(start..batch.tokens.len());
        }
        batch
    }

    /// Sum of the targets' weights, by size: what a mean loss is divided by.
    pub fn total_weight(&self) -> f64 {
        self.weights.iter().map(|w| f64::from(w.abs())).sum()
    }

    /// Length of the longest document.
    pub fn longest(&self) -> usize {
        self.documents.iter().map(Range::len).max().unwrap_or(0)
    }
}

/// Takes documents from where they come, as many as a step holds.
#[derive(Debug)]
pub struct Packer<I: Iterator<Item = Document>> {
    documents: Peekable<I>,
}

impl<I: Iterator<Item = Document>> Packer<I> {
    /// From an iterator. To go on after a checkpoint, leave out as many documents as the trainer has taken
    /// (`skip(trainer.documents())`).
    pub fn new(documents: I) -> Self {
        Self { documents: documents.peekable() }
    }

    /// The next documents, of at most `tokens` tokens together but at least one of them; empty at the end.
    ///
    /// # Errors
    /// [`EngineError::BadSetting`] for a document that the model could not read whole, or whose tokens it does not know.
    pub fn next_step(
        &mut self,
        tokens: usize,
        longest: usize,
        vocabulary: usize,
    ) -> Result<Vec<Document>, EngineError> {
        let (mut step, mut total) = (Vec::new(), 0);
        while let Some(document) = self.documents.peek() {
            let inputs = document.inputs();
            if total > 0 && total + inputs > tokens {
                break;
            }
            let bad = |what: String| Err(EngineError::BadSetting { what });
            if inputs > longest {
                return bad(format!(
                    "a document has {} tokens; the model reads at most {}: cut it into shorter ones",
                    document.tokens.len(),
                    longest + 1
                ));
            }
            if let Some(token) = document.tokens.iter().find(|token| **token as usize >= vocabulary) {
                return bad(format!(
                    "a document has the token {token}; the model has tokens 0 to {}: use the model's own \
                    tokenizer",
                    vocabulary - 1
                ));
            }
            if document.weights.len() != document.tokens.len() {
                return bad(format!(
                    "a document has {} tokens and {} weights; give one weight a token",
                    document.tokens.len(),
                    document.weights.len()
                ));
            }
            total += inputs;
            step.extend(self.documents.next());
        }
        Ok(step)
    }
}

/// Cuts a step's documents into batches of at most `tokens` tokens (a longer document gets its own).
pub fn micro_batches(documents: &[Document], tokens: usize) -> Vec<Batch> {
    let (mut batches, mut first, mut total) = (Vec::new(), 0, 0);
    for (index, document) in documents.iter().enumerate() {
        if total > 0 && total + document.inputs() > tokens {
            batches.push(Batch::of(&documents[first..index]));
            (first, total) = (index, 0);
        }
        total += document.inputs();
    }
    batches.push(Batch::of(&documents[first..]));
    batches.retain(|batch| !batch.tokens.is_empty());
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(lengths: &[usize]) -> Vec<Document> {
        lengths.iter().map(|n| Document::whole((0..*n as u32).collect())).collect()
    }

    #[test]
    fn documents_are_packed_whole_and_none_is_lost() {
        let all = documents(&[5, 4, 9, 1, 3, 2, 12, 2]);
        let mut packer = Packer::new(all.clone().into_iter());
        let mut seen = Vec::new();
        loop {
            let step = packer.next_step(10, 11, 20).expect("all are good");
            if step.is_empty() {
                break;
            }
            let inputs: usize = step.iter().map(Document::inputs).sum();
            assert!(inputs <= 10 || step.len() == 1, "{step:?}");
            let small = micro_batches(&step, 4);
            assert_eq!(small.iter().map(|b| b.tokens.len()).sum::<usize>(), inputs);
            assert!(small.iter().all(|b| b.tokens.len() <= 4 || b.documents.len() == 1));
            seen.extend(step);
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_target_is_the_token_after() {
        let batch = Batch::of(&[Document::answer(&[7, 8], &[9, 2]), Document::whole(vec![1, 2])]);
        assert_eq!(batch.tokens, [7, 8, 9, 1]);
        assert_eq!(batch.targets, [8, 9, 2, 2]);
        assert_eq!(batch.weights, [0.0, 1.0, 1.0, 1.0]);
        assert_eq!(batch.documents, [0..3, 3..4]);
    }

    #[test]
    fn what_the_model_could_not_read_is_refused_with_the_way_out() {
        let refuse = |document: Document, longest| {
            Packer::new([document].into_iter()).next_step(100, longest, 20).expect_err("refused").to_string()
        };
        assert!(refuse(Document::whole(vec![1; 9]), 7).contains("cut it"));
        assert!(refuse(Document::whole(vec![1, 20]), 7).contains("tokens 0 to 19"));
        assert!(refuse(Document { tokens: vec![1, 2], weights: vec![1.0] }, 7).contains("one weight a token"));
    }
}
