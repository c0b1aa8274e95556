//! What changes the logits before they become probabilities: bias and penalties, in Hugging Face's order.

use super::super::{SamplingParams, TokenId};

/// Adds the bias of single tokens; ids beyond the vocabulary are left out (the engine has refused them before).
pub fn bias(logits: &mut [f32], bias: &[(TokenId, f32)]) {
    for (id, amount) in bias {
        if let Some(logit) = logits.get_mut(*id as usize) {
            *logit += amount;
        }
    }
}

/// Makes tokens less likely that are there already. `text` is all that the model reads, `answer` what it made.
///
/// The repetition penalty divides positive logits and multiplies negative ones of every token of the text (Keskar et
/// al., CTRL, 2019; Hugging Face's `RepetitionPenaltyLogitsProcessor`). Frequency and presence penalty follow OpenAI's
/// formula `logit - count × frequency - (count > 0) × presence`, where only tokens of the answer count.
pub fn penalise(logits: &mut [f32], params: &SamplingParams, text: &[TokenId], answer: &[TokenId]) {
    if params.repetition_penalty != 1.0 {
        for (id, _) in counts(text) {
            let logit = &mut logits[id as usize];
            let (up, down) = (*logit * params.repetition_penalty, *logit / params.repetition_penalty);
            *logit = if *logit > 0.0 { down } else { up };
        }
    }
    if params.frequency_penalty != 0.0 || params.presence_penalty != 0.0 {
        for (id, count) in counts(answer) {
            logits[id as usize] -= count as f32 * params.frequency_penalty + params.presence_penalty;
        }
    }
}

/// Each token once, with how often it is there.
fn counts(tokens: &[TokenId]) -> Vec<(TokenId, usize)> {
    let mut sorted = tokens.to_vec();
    sorted.sort_unstable();
    sorted.chunk_by(|a, b| a == b).map(|same| (same[0], same.len())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repetition_penalty_makes_seen_tokens_less_likely_once() {
        let params = SamplingParams { repetition_penalty: 2.0, ..SamplingParams::default() };
        let mut logits = vec![4.0, -3.0, 5.0];
        penalise(&mut logits, &params, &[0, 1, 0, 0], &[]);
        assert_eq!(logits, [2.0, -6.0, 5.0]);
    }

    #[test]
    fn frequency_counts_and_presence_does_not_and_the_prompt_is_free() {
        let params = SamplingParams { frequency_penalty: 0.5, presence_penalty: 1.0, ..SamplingParams::default() };
        let mut logits = vec![4.0, -3.0, 5.0];
        penalise(&mut logits, &params, &[2, 2, 0, 1, 0], &[0, 1, 0]);
        assert_eq!(logits, [2.0, -4.5, 5.0]);
    }

    #[test]
    fn a_bias_is_added_and_one_beyond_the_vocabulary_is_harmless() {
        let mut logits = vec![1.0, 2.0];
        bias(&mut logits, &[(1, -100.0), (1, 0.5), (9, 1.0)]);
        assert_eq!(logits, [1.0, -97.5]);
    }
}
