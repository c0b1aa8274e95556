//! A document of the corpus: text in spans, each with the weight of its loss.
//!
//! A plain text stands between two `<|endoftext|>`. A conversation has SmolLM2's form, with a space before what each
//! side says, so that a word copied from the question is the same token in the answer:
//!
//! ```text
//! <|im_start|>user
//!  Where does Kor live?<|im_end|>
//! <|im_start|>assistant
//!  Marl<|im_end|>
//! ```

use super::kinds::Kind;

/// Stands before and after a plain text. Its number is 0 in every vocabulary made here.
pub const END_OF_TEXT: &str = "<|endoftext|>";
/// Begins a turn; number 1.
pub const TURN_START: &str = "<|im_start|>";
/// Ends a turn; number 2.
pub const TURN_END: &str = "<|im_end|>";

/// The template that a model trained on these documents needs: SmolLM2's, with the space before each text and without
/// its sentence about who it is.
pub const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n ' + \
     message['content'] | trim + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ \
     '<|im_start|>assistant\\n' }}{% endif %}";

/// The weight of answers, in hundredths.
pub const FULL: u16 = 100;
/// The weight of texts that count from their first to their last token, in hundredths.
pub const WHOLE_TEXT: u16 = 40;

/// A stretch of text, and how much the loss on its tokens counts, in hundredths; 0 for text that is only read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The text; names of special tokens in it are special tokens.
    pub text: String,
    /// Hundredths of a token's loss.
    pub weight: u16,
}

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The generator it comes from.
    pub kind: Kind,
    /// A finer name within the kind, for tables: the direction of a question, a plot, a way of asking.
    pub variant: String,
    /// Its text.
    pub spans: Vec<Span>,
    /// For a preference pair: the poor answer to the same prompt. The good one is in the spans.
    pub rejected: Option<String>,
}

/// A prompt and the one right answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// All text before the answer, ready for the tokenizer.
    pub prompt: String,
    /// The answer without the space before it and the mark after it.
    pub answer: String,
}

impl Document {
    /// A text that counts as a whole. It is begun by `<|endoftext|>`, so that a model can be asked for one from
    /// nothing.
    pub fn plain(kind: Kind, variant: &str, text: &str) -> Self {
        let spans = vec![
            Span { text: END_OF_TEXT.into(), weight: 0 },
            Span { text: format!(" {text}{END_OF_TEXT}"), weight: WHOLE_TEXT },
        ];
        Self { kind, variant: variant.into(), spans, rejected: None }
    }

    /// A plain text of which only the end counts.
    pub fn continued(kind: Kind, variant: &str, given: &str, rest: &str) -> Self {
        let spans = vec![
            Span { text: format!("{END_OF_TEXT} {given}"), weight: 0 },
            Span { text: format!(" {rest}{END_OF_TEXT}"), weight: FULL },
        ];
        Self { kind, variant: variant.into(), spans, rejected: None }
    }

    /// A conversation of one question and one answer.
    pub fn asked(kind: Kind, variant: &str, question: &str, answer: &str) -> Self {
        Chat::new().user(question).assistant(answer).document(kind, variant)
    }

    /// The whole text.
    pub fn text(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect()
    }

    /// Each answer with what stands before it. A plain text that counts as a whole has none.
    pub fn questions(&self) -> Vec<Question> {
        let mut found = Vec::new();
        let mut before = String::new();
        for span in &self.spans {
            if span.weight == FULL {
                let answer = span.text.trim_end_matches(TURN_END).trim_end_matches(END_OF_TEXT).trim();
                found.push(Question { prompt: before.clone(), answer: answer.to_owned() });
            }
            before += &span.text;
        }
        found
    }

    /// The text for reading: what counts fully stands in 《 》, what counts in part in ‹ ›.
    pub fn show(&self) -> String {
        let mut out = format!("── {} · {}\n", self.kind.name(), self.variant);
        for span in &self.spans {
            match span.weight {
                0 => out += &span.text,
                FULL => out += &format!("《{}》", span.text),
                _ => out += &format!("‹{}›", span.text),
            }
        }
        if let Some(rejected) = &self.rejected {
            out += &format!("\nrather than: {rejected}");
        }
        out.trim_end().to_owned()
    }
}

/// A conversation being put together.
#[derive(Clone, Debug, Default)]
pub struct Chat {
    spans: Vec<Span>,
    open: String,
}

impl Chat {
    /// No turn yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn read(mut self, role: &str, text: &str) -> Self {
        self.open += &format!("{TURN_START}{role}\n {text}{TURN_END}\n");
        self
    }

    /// What the application says first.
    pub fn system(self, text: &str) -> Self {
        self.read("system", text)
    }

    /// What the person says.
    pub fn user(self, text: &str) -> Self {
        self.read("user", text)
    }

    /// What a tool gives back.
    pub fn tool(self, text: &str) -> Self {
        self.read("tool", text)
    }

    /// What the model must say: the loss counts on it and on the mark that ends the turn.
    pub fn assistant(mut self, text: &str) -> Self {
        let before = std::mem::take(&mut self.open);
        self.spans.push(Span { text: format!("{before}{TURN_START}assistant\n"), weight: 0 });
        self.spans.push(Span { text: format!(" {text}{TURN_END}"), weight: FULL });
        self.open = "\n".into();
        self
    }

    /// Ends the conversation after an answer.
    pub fn document(self, kind: Kind, variant: &str) -> Document {
        Document { kind, variant: variant.into(), spans: self.spans, rejected: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_has_the_template_s_form() {
        let chat = Chat::new().system("Be kind.").user("Hello").assistant("Hi!").user("Bye").assistant("Bye!");
        let document = chat.document(Kind::Talk, "test");
        insta::assert_snapshot!(document.show());
        let questions = document.questions();
        assert_eq!(questions.len(), 2);
        assert!(questions[1].prompt.ends_with("<|im_start|>assistant\n"), "{}", questions[1].prompt);
        assert_eq!(questions[1].answer, "Bye!");
    }

    #[test]
    fn a_story_counts_in_part_and_asks_nothing() {
        let document = Document::plain(Kind::Story, "test", "Once.");
        assert_eq!(document.text(), "<|endoftext|> Once.<|endoftext|>");
        assert!(document.questions().is_empty());
    }
}
