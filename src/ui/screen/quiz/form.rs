//! The answer while it is being given, for each kind of question. Choices are shuffled once, when the form is made.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::content::{Answer, Choice, Question, QuestionKind};
use crate::labs::{Edit, Input, Key, KeyHelp, KeyPress};

/// The answer while it is being given.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form {
    /// One or several of the choices; positions refer to `order`.
    Choices { order: Vec<usize>, cursor: usize, picked: Vec<bool>, several: bool },
    /// True stands first.
    TrueFalse { cursor: usize, picked: Option<bool> },
    /// A number being typed.
    Number(Input),
    /// `order[place]` is the choice at that place.
    Order { order: Vec<usize>, cursor: usize },
    /// A field for each blank.
    Cloze { fields: Vec<Input>, at: usize },
}

/// What a key did to the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    Ignored,
    Handled,
    /// The answer stands.
    Done,
}

impl Form {
    /// An empty form. The same seed shuffles in the same way.
    pub fn new(question: &Question, seed: u64) -> Self {
        match &question.kind {
            QuestionKind::Single(choices) => Self::choices(choices, false, seed),
            QuestionKind::Multiple(choices) => Self::choices(choices, true, seed),
            QuestionKind::TrueFalse { .. } => Self::TrueFalse { cursor: 0, picked: None },
            QuestionKind::Numeric { .. } => Self::Number(Input::default()),
            QuestionKind::Order(choices) => {
                let mut order = shuffled(choices.len(), seed);
                // The right order would give the answer away.
                if choices.len() > 1 && order.is_sorted() {
                    order.rotate_left(1);
                }
                Self::Order { order, cursor: 0 }
            }
            QuestionKind::Cloze(blanks) => Self::Cloze { fields: vec![Input::default(); blanks.len()], at: 0 },
        }
    }

    fn choices(choices: &[Choice], several: bool, seed: u64) -> Self {
        Self::Choices { order: shuffled(choices.len(), seed), cursor: 0, picked: vec![false; choices.len()], several }
    }

    /// Whether keys are text.
    pub fn is_typing(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Cloze { .. })
    }

    /// The answer as it stands; `None` while there is none.
    pub fn answer(&self, question: &Question) -> Option<Answer> {
        match (self, &question.kind) {
            (Self::Choices { picked, .. }, QuestionKind::Single(choices) | QuestionKind::Multiple(choices)) => {
                let ids: Vec<String> =
                    choices.iter().zip(picked).filter(|(_, p)| **p).map(|(c, _)| c.id.clone()).collect();
                let may_be_none = matches!(question.kind, QuestionKind::Multiple(_));
                (may_be_none || !ids.is_empty()).then_some(Answer::Choices(ids))
            }
            (Self::TrueFalse { picked, .. }, _) => picked.map(Answer::TrueFalse),
            (Self::Number(input), _) => number(input.text()).map(Answer::Number),
            (Self::Order { order, .. }, QuestionKind::Order(choices)) => {
                Some(Answer::Choices(order.iter().filter_map(|i| choices.get(*i)).map(|c| c.id.clone()).collect()))
            }
            (Self::Cloze { fields, .. }, _) => {
                let typed = fields.iter().any(|f| !f.text().trim().is_empty());
                typed.then(|| Answer::Blanks(fields.iter().map(|f| f.text().trim().to_string()).collect()))
            }
            _ => None,
        }
    }

    /// What keys do in this form.
    pub fn bindings(&self) -> Vec<KeyHelp> {
        let enter = KeyHelp { keys: "enter", what: "answer", press: KeyPress::plain(Key::Enter) };
        let help = |keys, what, press| KeyHelp { keys, what, press };
        match self {
            Self::Choices { several: false, .. } => {
                vec![
                    help("a b c", "choose", KeyPress::char('a')),
                    help("↑↓", "move", KeyPress::plain(Key::Down)),
                    enter,
                ]
            }
            Self::Choices { .. } => vec![
                help("a b c", "mark", KeyPress::char('a')),
                help("space", "mark", KeyPress::char(' ')),
                help("↑↓", "move", KeyPress::plain(Key::Down)),
                enter,
            ],
            Self::TrueFalse { .. } => {
                vec![help("t", "true", KeyPress::char('t')), help("f", "false", KeyPress::char('f')), enter]
            }
            Self::Number(_) => vec![enter],
            Self::Order { .. } => vec![
                help("↑↓", "which", KeyPress::plain(Key::Down)),
                help("J K", "move it", KeyPress::char('J')),
                help("1 2 3", "to that place", KeyPress::char('1')),
                enter,
            ],
            Self::Cloze { fields, .. } if fields.len() > 1 => {
                vec![help("tab", "next blank", KeyPress::plain(Key::Tab)), enter]
            }
            Self::Cloze { .. } => vec![enter],
        }
    }

    /// Takes a key.
    pub fn on_key(&mut self, key: KeyPress) -> Given {
        if key.key == Key::Enter && !matches!(self, Self::Choices { .. } | Self::TrueFalse { .. } | Self::Cloze { .. })
        {
            return Given::Done;
        }
        match self {
            Self::Choices { cursor, picked, several, order } => match key.key {
                Key::Enter if *several || picked.contains(&true) => return Given::Done,
                Key::Enter => {}
                // The first move chooses the first line, not the second.
                Key::Up | Key::Down | Key::Char('j' | 'k') if !*several && !picked.contains(&true) => {
                    pick(order[*cursor], picked);
                }
                Key::Char(' ') if *several => picked[order[*cursor]] ^= true,
                Key::Char(' ') => pick(order[*cursor], picked),
                Key::Up | Key::Char('k') if *cursor > 0 => move_to(*cursor - 1, cursor, order, picked, *several),
                Key::Down | Key::Char('j') if *cursor + 1 < order.len() => {
                    move_to(*cursor + 1, cursor, order, picked, *several);
                }
                Key::Up | Key::Down => {}
                Key::Char(c @ 'a'..='i') if ((c as usize) - ('a' as usize)) < order.len() => {
                    return self.touch(c as usize - 'a' as usize);
                }
                _ => return Given::Ignored,
            },
            Self::TrueFalse { cursor, picked } => match key.key {
                Key::Enter if picked.is_some() => return Given::Done,
                Key::Enter => {}
                Key::Up | Key::Down | Key::Char('j' | 'k') if picked.is_none() => *picked = Some(*cursor == 0),
                Key::Up | Key::Down | Key::Char('j' | 'k') => {
                    *cursor = 1 - *cursor;
                    *picked = Some(*cursor == 0);
                }
                Key::Char(c @ ('t' | 'f' | 'a' | 'b')) => {
                    *cursor = usize::from(matches!(c, 'f' | 'b'));
                    *picked = Some(*cursor == 0);
                }
                Key::Char(' ') => *picked = Some(*cursor == 0),
                _ => return Given::Ignored,
            },
            Self::Number(input) => {
                let fits = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '-' | '+' | 'e' | ' ' | '%');
                if key.typed().is_some_and(|c| !fits(c)) {
                    return Given::Handled;
                }
                if input.on_key(key) == Edit::Ignored {
                    return Given::Ignored;
                }
            }
            Self::Order { order, cursor } => {
                let last = order.len().saturating_sub(1);
                match key.key {
                    Key::Up | Key::Char('k') if !key.alt && !key.ctrl => *cursor = cursor.saturating_sub(1),
                    Key::Down | Key::Char('j') if !key.alt && !key.ctrl => *cursor = (*cursor + 1).min(last),
                    Key::Up | Key::Char('K') if *cursor > 0 => carry(order, cursor, *cursor - 1),
                    Key::Down | Key::Char('J') if *cursor < last => carry(order, cursor, *cursor + 1),
                    Key::Up | Key::Down | Key::Char('J' | 'K') => {}
                    Key::Char(c @ '1'..='9') => {
                        let place = c as usize - '1' as usize;
                        if place <= last {
                            carry(order, cursor, place);
                        }
                    }
                    _ => return Given::Ignored,
                }
            }
            Self::Cloze { fields, at } => match key.key {
                Key::Enter if *at + 1 < fields.len() && fields[*at + 1].is_empty() => *at += 1,
                Key::Enter => return Given::Done,
                Key::Tab | Key::Down => *at = (*at + 1) % fields.len().max(1),
                Key::BackTab | Key::Up => *at = (*at + fields.len().saturating_sub(1)) % fields.len().max(1),
                _ => match fields.get_mut(*at).map(|f| f.on_key(key)) {
                    None | Some(Edit::Ignored) => return Given::Ignored,
                    _ => {}
                },
            },
        }
        Given::Handled
    }

    /// Takes pasted text.
    pub fn paste(&mut self, text: &str) {
        let line = text.lines().next().unwrap_or("");
        match self {
            Self::Number(input) => drop(input.paste(line)),
            Self::Cloze { fields, at } => drop(fields.get_mut(*at).map(|f| f.paste(line))),
            _ => {}
        }
    }

    /// The learner pointed at a line (from 0, as shown). Pointing at the chosen line again is the answer.
    pub fn touch(&mut self, line: usize) -> Given {
        match self {
            Self::Choices { order, cursor, picked, several } => {
                let Some(&choice) = order.get(line) else { return Given::Handled };
                *cursor = line;
                if *several {
                    picked[choice] ^= true;
                } else if picked[choice] {
                    return Given::Done;
                } else {
                    pick(choice, picked);
                }
            }
            Self::TrueFalse { cursor, picked } => {
                if *picked == Some(line == 0) {
                    return Given::Done;
                }
                (*cursor, *picked) = (line.min(1), Some(line == 0));
            }
            Self::Order { order, cursor } => *cursor = line.min(order.len().saturating_sub(1)),
            Self::Cloze { fields, at } => *at = line.min(fields.len().saturating_sub(1)),
            Self::Number(_) => {}
        }
        Given::Handled
    }
}

fn pick(choice: usize, picked: &mut [bool]) {
    picked.fill(false);
    picked[choice] = true;
}

fn move_to(to: usize, cursor: &mut usize, order: &[usize], picked: &mut [bool], several: bool) {
    *cursor = to;
    if !several {
        pick(order[to], picked);
    }
}

fn carry(order: &mut Vec<usize>, cursor: &mut usize, to: usize) {
    let choice = order.remove(*cursor);
    order.insert(to, choice);
    *cursor = to;
}

/// Reads a number as people type it: `37,5`, `37.5 %`, `1 000`.
fn number(text: &str) -> Option<f64> {
    let compact: String = text.chars().filter(|c| !c.is_whitespace() && *c != '%').collect();
    let plain = match (compact.matches(',').count(), compact.contains('.')) {
        (0, _) => compact,
        // `1,000.5` and `1,000,000`: commas part thousands.
        (_, true) => compact.replace(',', ""),
        (1, false) if !is_thousands(&compact) => compact.replace(',', "."),
        _ => compact.replace(',', ""),
    };
    plain.parse::<f64>().ok().filter(|n| n.is_finite())
}

/// `49,152`: one to three digits that do not begin with 0, a comma, exactly three digits.
fn is_thousands(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    digits
        .split_once(',')
        .is_some_and(|(head, tail)| tail.len() == 3 && (1..=3).contains(&head.len()) && !head.starts_with('0'))
}

/// Fisher and Yates, with a named generator.
fn shuffled(len: usize, seed: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..len).collect();
    for i in (1..len).rev() {
        order.swap(i, (rng.next_u64() % (i as u64 + 1)) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(kind: QuestionKind) -> Question {
        Question { id: "q".into(), ask: vec![], term: None, section: None, kind }
    }

    fn choices(n: usize) -> Vec<Choice> {
        (0..n).map(|i| Choice { id: format!("c{i}"), text: vec![], right: i == 0, why: vec![] }).collect()
    }

    fn press(form: &mut Form, keys: &str) -> Given {
        keys.chars().map(|c| form.on_key(KeyPress::char(c))).last().expect("keys")
    }

    #[test]
    fn a_letter_chooses_and_the_same_letter_again_answers() {
        let question = question(QuestionKind::Single(choices(4)));
        let mut form = Form::new(&question, 3);
        assert_eq!(form.answer(&question), None);
        assert_eq!(press(&mut form, "c"), Given::Handled);
        assert_eq!(press(&mut form, "c"), Given::Done);
        let Form::Choices { order, .. } = &form else { panic!("choices") };
        assert_eq!(form.answer(&question), Some(Answer::Choices(vec![format!("c{}", order[2])])));
    }

    #[test]
    fn enter_answers_only_what_was_chosen() {
        let question = question(QuestionKind::Single(choices(3)));
        let mut form = Form::new(&question, 3);
        let [enter, down] = [Key::Enter, Key::Down].map(KeyPress::plain);
        assert_eq!((form.on_key(enter), form.answer(&question)), (Given::Handled, None));
        form.on_key(down);
        let Form::Choices { order, picked, .. } = &form else { panic!("choices") };
        assert!(picked[order[0]], "the first move chooses the first line");
        assert_eq!(form.on_key(enter), Given::Done);
    }

    #[test]
    fn several_may_be_marked_and_none_is_an_answer_too() {
        let question = question(QuestionKind::Multiple(choices(3)));
        let mut form = Form::new(&question, 3);
        assert_eq!(form.answer(&question), Some(Answer::Choices(vec![])));
        press(&mut form, "abca");
        let Some(Answer::Choices(ids)) = form.answer(&question) else { panic!("choices") };
        assert_eq!(ids.len(), 2);
        assert!(ids.is_sorted(), "in the order of the file: {ids:?}");
    }

    #[test]
    fn an_order_is_never_shown_right_and_can_be_made_right_with_either_keys() {
        let question = question(QuestionKind::Order(choices(3)));
        for seed in 0..50 {
            let mut form = Form::new(&question, seed);
            let Form::Order { order, .. } = &form else { panic!("order") };
            assert!(!order.is_sorted(), "seed {seed}");
            for target in 0..3 {
                let Form::Order { order, cursor } = &mut form else { panic!("order") };
                *cursor = order.iter().position(|c| *c == target).expect("there");
                let place = char::from(b'1' + target as u8);
                assert_eq!(form.on_key(KeyPress::char(place)), Given::Handled);
            }
            let all = vec!["c0".to_string(), "c1".into(), "c2".into()];
            assert_eq!(form.answer(&question), Some(Answer::Choices(all)));
            press(&mut form, "K");
            let Some(Answer::Choices(ids)) = form.answer(&question) else { panic!("choices") };
            assert_eq!(ids, ["c0", "c2", "c1"]);
        }
    }

    #[test]
    fn numbers_are_read_as_people_type_them() {
        let cases = [
            ("37.5", Some(37.5)),
            ("37,5 %", Some(37.5)),
            ("49,152", Some(49152.0)),
            ("0,125", Some(0.125)),
            ("1 000", Some(1000.0)),
            ("1,000,000.5", Some(1_000_000.5)),
            ("-3", Some(-3.0)),
            ("", None),
            ("e", None),
        ];
        for (text, expected) in cases {
            assert_eq!(number(text), expected, "{text}");
        }
    }

    #[test]
    fn letters_do_not_get_into_a_number() {
        let mut form = Form::Number(Input::default());
        press(&mut form, "q4x2");
        let Form::Number(input) = &form else { panic!("number") };
        assert_eq!(input.text(), "42");
    }

    #[test]
    fn the_same_seed_shuffles_in_the_same_way() {
        assert_eq!(shuffled(6, 9), shuffled(6, 9));
        assert!((0..20).any(|seed| shuffled(6, seed) != shuffled(6, 9)));
    }
}
