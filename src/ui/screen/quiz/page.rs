//! What a quiz shows, as wrapped lines with the places that can be clicked.

use jiff::civil::Date;
use ratatui::style::Style;

use super::form::Form;
use super::{Answered, Item, QuizScreen, Stage};
use crate::content::{Answer, Choice, Inline, Question, QuestionKind, Verdict};
use crate::labs::Input;
use crate::progress::Confidence;
use crate::text::SafeText;
use crate::theme::Theme;
use crate::ui::draw;
use crate::ui::prose::Piece;
use crate::ui::screen::Shared;
use crate::ui::screen::lines::Lines;

/// What a line stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// A choice, as shown from the top.
    Choice(usize),
    Confidence(Confidence),
    ReadAgain,
}

/// The lines of the screen.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub lines: Lines,
    /// First line, line after the last, what it is.
    spots: Vec<(usize, usize, Spot)>,
    /// The line under the cursor.
    pub cursor: Option<usize>,
}

/// How a line of the answer is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    None,
    Chosen,
    Right,
    Wrong,
}

impl Page {
    /// The page of a quiz as it stands.
    pub fn of(quiz: &QuizScreen, width: u16, shared: &Shared) -> Self {
        let theme = &shared.theme;
        let mut page = Self { lines: Lines::new(width), ..Self::default() };
        let item = &quiz.items[quiz.at];
        match &quiz.stage {
            Stage::Over => page.results(quiz, shared),
            Stage::Asking => {
                page.ask(item, &quiz.form, theme);
                page.form(item, &quiz.form, None, width, theme);
            }
            Stage::Sure(_) => {
                page.ask(item, &quiz.form, theme);
                page.form(item, &quiz.form, None, width, theme);
                page.lines.blank();
                page.lines.text("How sure are you?", theme.strong);
                for (c, key) in [(Confidence::Guess, "1"), (Confidence::Fair, "2"), (Confidence::Sure, "3")] {
                    let from = page.lines.len();
                    page.lines.hang(&format!("   {key}  "), sure_word(c), theme.text);
                    page.spots.push((from, page.lines.len(), Spot::Confidence(c)));
                }
            }
            Stage::Told { answer, verdict } => {
                page.ask(item, &quiz.form, theme);
                page.form(item, &quiz.form, Some((answer, verdict)), width, theme);
                page.verdict(quiz, item, answer, verdict, shared);
            }
        }
        page
    }

    /// What stands at a line.
    pub fn spot_at(&self, line: usize) -> Option<Spot> {
        self.spots.iter().find(|(from, to, _)| (*from..*to).contains(&line)).map(|s| s.2)
    }

    fn ask(&mut self, item: &Item, form: &Form, theme: &Theme) {
        let ask = match (&item.question.kind, form) {
            (QuestionKind::Cloze(blanks), Form::Cloze { fields, .. }) => {
                let names: Vec<(String, String)> =
                    blanks.iter().zip(fields).enumerate().map(|(i, (b, f))| (b.id.clone(), blank(i, f))).collect();
                fill(&item.question.ask, &names)
            }
            _ => item.question.ask.clone(),
        };
        self.lines.inline(&Piece::new("", theme.text), &ask, theme.strong, theme);
        self.lines.blank();
    }

    fn line(&mut self, mark: Mark, letter: &str, text: &[Inline], note: &str, theme: &Theme) -> (usize, usize) {
        let (sign, style) = match mark {
            Mark::None => (" ", theme.text),
            Mark::Chosen => ("▸", theme.strong),
            Mark::Right => ("✓", theme.good),
            Mark::Wrong => ("✗", theme.warn),
        };
        let from = self.lines.len();
        let head = Piece::new(format!(" {sign}  {letter}  "), style);
        let mut pieces = crate::ui::prose::inline(text, style, theme);
        if !note.is_empty() {
            pieces.push(Piece::new(format!("   {note}"), theme.quiet));
        }
        self.lines.pieces(&head, pieces);
        (from, self.lines.len())
    }

    /// The choices or fields; with the verdict, what was right and what the learner said.
    fn form(&mut self, item: &Item, form: &Form, told: Option<(&Answer, &Verdict)>, width: u16, theme: &Theme) {
        let you = item
            .result
            .as_ref()
            .and_then(|r| r.confidence)
            .map_or("you".to_string(), |c| format!("you, {}", sure_word(c)));
        match (form, &item.question.kind) {
            (
                Form::Choices { order, cursor, picked, several },
                QuestionKind::Single(choices) | QuestionKind::Multiple(choices),
            ) => {
                if *several {
                    self.lines.text("Any number may be right.", theme.quiet);
                }
                for (line, &choice) in order.iter().enumerate() {
                    let Some(Choice { text, right, .. }) = choices.get(choice) else { continue };
                    let mark = match (told.is_some(), picked[choice]) {
                        (true, true) if !right => Mark::Wrong,
                        (true, _) if *right => Mark::Right,
                        (false, true) => Mark::Chosen,
                        _ => Mark::None,
                    };
                    let note = if told.is_some() && picked[choice] { you.as_str() } else { "" };
                    let letter = match (told, *several) {
                        (None, true) => format!("{} [{}]", letter(line), if picked[choice] { "x" } else { " " }),
                        _ => letter(line),
                    };
                    let mark = if told.is_none() && *several {
                        if line == *cursor { Mark::Chosen } else { Mark::None }
                    } else {
                        mark
                    };
                    self.spot((line, *cursor), mark, &letter, text, note, theme);
                }
            }
            (Form::TrueFalse { cursor, picked }, QuestionKind::TrueFalse { answer, .. }) => {
                for (line, (value, word)) in [(true, "True"), (false, "False")].into_iter().enumerate() {
                    let mark = match (told.is_some(), *picked == Some(value)) {
                        (true, true) if value != *answer => Mark::Wrong,
                        (true, _) if value == *answer => Mark::Right,
                        (false, true) => Mark::Chosen,
                        _ => Mark::None,
                    };
                    let note = if told.is_some() && *picked == Some(value) { you.as_str() } else { "" };
                    let letter = if value { "t" } else { "f" };
                    self.spot((line, *cursor), mark, letter, &[Inline::Text(word.into())], note, theme);
                }
            }
            (Form::Order { order, cursor }, QuestionKind::Order(choices)) => {
                if told.is_none() {
                    self.lines.text("Put these in order.", theme.quiet);
                }
                for (line, &choice) in order.iter().enumerate() {
                    let Some(Choice { text, .. }) = choices.get(choice) else { continue };
                    let (mark, note) = match told {
                        None if line == *cursor => (Mark::Chosen, String::new()),
                        None => (Mark::None, String::new()),
                        Some(_) if line == choice => (Mark::Right, String::new()),
                        Some(_) => (Mark::Wrong, format!("belongs at {}", choice + 1)),
                    };
                    self.spot((line, *cursor), mark, &(line + 1).to_string(), text, &note, theme);
                }
            }
            (Form::Number(input), QuestionKind::Numeric { unit, .. }) => {
                let unit = unit.as_deref().unwrap_or("");
                match told {
                    None => self.field("   Your number  ", input, true, unit, width, theme),
                    Some((_, verdict)) => {
                        let (sign, style) = if verdict.right { ("✓", theme.good) } else { ("✗", theme.warn) };
                        let typed = input.text().trim();
                        let number = typed.strip_suffix(unit).unwrap_or(typed).trim_end();
                        self.lines.hang(&format!(" {sign}  "), &format!("{number} {unit}   {you}"), style);
                        if !verdict.right {
                            self.lines.hang(" ✓  ", &verdict.right_answer, theme.good);
                        }
                    }
                }
            }
            (Form::Cloze { fields, at }, QuestionKind::Cloze(blanks)) => {
                for (i, (field, blank)) in fields.iter().zip(blanks).enumerate() {
                    let from = self.lines.len();
                    if told.is_some() {
                        let right = blank.accept.iter().any(|a| same(a, field.text()));
                        let (sign, style) = if right { ("✓", theme.good) } else { ("✗", theme.warn) };
                        let typed = if field.text().trim().is_empty() { "nothing" } else { field.text().trim() };
                        let shown = blank.accept.first().map_or("", String::as_str);
                        let text = if right { typed.to_string() } else { format!("{typed}; it is {shown}") };
                        self.lines.hang(&format!(" {sign}  {}  ", i + 1), &text, style);
                    } else {
                        let head = format!(" {}  {}  ", if i == *at { "▸" } else { " " }, i + 1);
                        self.field(&head, field, i == *at, "", width, theme);
                        if i == *at {
                            self.cursor = Some(from);
                        }
                    }
                    self.spots.push((from, self.lines.len(), Spot::Choice(i)));
                }
            }
            _ => {}
        }
    }

    /// A line of the answer that can be pointed at; `at` is its place and that of the cursor.
    fn spot(&mut self, at: (usize, usize), mark: Mark, letter: &str, text: &[Inline], note: &str, theme: &Theme) {
        let (from, to) = self.line(mark, letter, text, note, theme);
        self.spots.push((from, to, Spot::Choice(at.0)));
        if at.0 == at.1 {
            self.cursor = Some(to - 1);
        }
    }

    fn field(&mut self, head: &str, input: &Input, focused: bool, unit: &str, width: u16, theme: &Theme) {
        let room = width.saturating_sub(draw::width(head) as u16 + draw::width(unit) as u16 + 1).max(4);
        let (rows, _) = input.lines(room, theme.text, focused);
        let last = rows.into_iter().next_back().unwrap_or_default();
        let mut pieces: Vec<Piece> = last.spans.into_iter().map(|s| Piece::new(s.content, s.style)).collect();
        pieces.push(Piece::new(format!(" {unit}"), theme.quiet));
        self.cursor = Some(self.lines.len());
        self.lines.pieces(&Piece::new(head, theme.text), pieces);
    }

    fn verdict(&mut self, quiz: &QuizScreen, item: &Item, answer: &Answer, verdict: &Verdict, shared: &Shared) {
        let theme = &shared.theme;
        self.lines.blank();
        let sure = item.result.as_ref().and_then(|r| r.confidence) == Some(Confidence::Sure);
        let share = (verdict.score * 100.0).round();
        match (verdict.right, sure) {
            (true, _) => self.lines.text("Right.", theme.good),
            (false, true) => self.lines.text("Wrong, and you were sure: worth a second look.", theme.warn),
            (false, _) if share > 0.0 => self.lines.text(&format!("Not yet: {share:.0}% of it is right."), theme.warn),
            (false, _) => self.lines.text("Wrong.", theme.warn),
        }
        for (what, why) in &verdict.why {
            let head = letter_of(what, item, &quiz.form, answer);
            self.lines.inline(&Piece::new(head, theme.strong), why, theme.text, theme);
        }
        if !verdict.right
            && let Some(section) = &item.question.section
        {
            let from = self.lines.len();
            let lesson = item.lesson.to_uppercase();
            self.lines.hang("→ ", &format!("Read again: {lesson}, \"{section}\"  (enter)"), theme.accent);
            self.spots.push((from, self.lines.len(), Spot::ReadAgain));
        }
        self.lines.blank();
        let saved = item.result.as_ref().map(|r| saved(r, quiz, shared));
        if let Some((text, style)) = saved {
            self.lines.text(&text, style);
        }
    }

    fn results(&mut self, quiz: &QuizScreen, shared: &Shared) {
        let theme = &shared.theme;
        let right = quiz.items.iter().filter(|i| i.result.as_ref().is_some_and(|r| r.right)).count();
        let all = quiz.items.len();
        self.lines.text(&format!("{right} of {all} right."), theme.strong);
        let sure_and_wrong = (quiz.items.iter().filter_map(|i| i.result.as_ref()))
            .filter(|r| !r.right && r.confidence == Some(Confidence::Sure))
            .count();
        if sure_and_wrong > 0 {
            let text = format!("Sure and wrong: {sure_and_wrong}. These are the ones worth reading again.");
            self.lines.text(&text, theme.warn);
        }
        self.lines.blank();
        for item in &quiz.items {
            let Some(result) = &item.result else { continue };
            let (sign, style) = if result.right { ("✓ ", theme.good) } else { ("✗ ", theme.warn) };
            let when = match &result.card {
                Some(card) => format!("again {}", short_day(card.due_on, shared.today)),
                None if result.attempt.is_empty() => "answered before".into(),
                None => "not saved".into(),
            };
            let ask = one_line(&item.question);
            self.lines.both(&format!("{sign}{ask}"), style, &when, theme.quiet);
        }
        if !quiz.unsaved.attempts.is_empty() {
            self.lines.blank();
            let why = quiz.unsaved.why.as_deref().unwrap_or("still being saved");
            self.lines.text(&format!("{} not saved: {why}. r tries again.", quiz.unsaved.attempts.len()), theme.warn);
        }
    }
}

/// What is known of the answer on disk.
fn saved(result: &Answered, quiz: &QuizScreen, shared: &Shared) -> (String, Style) {
    let theme = &shared.theme;
    match (&result.card, &quiz.unsaved.why) {
        (Some(card), _) => (format!("Asked again {}.", day(card.due_on, shared.today)), theme.quiet),
        (None, Some(why)) => (format!("This answer is not saved: {why}. r tries again."), theme.warn),
        (None, None) => ("Being saved.".into(), theme.quiet),
    }
}

/// `tomorrow, Wednesday 25 November`; `in 12 days, on Sunday 6 December`.
pub(super) fn day(day: Date, today: Date) -> String {
    let name = day.strftime("%A %-d %B");
    match days_between(today, day) {
        i32::MIN..=0 => "today".into(),
        1 => format!("tomorrow, {name}"),
        days => format!("in {days} days, on {name}"),
    }
}

fn short_day(day: Date, today: Date) -> String {
    match days_between(today, day) {
        i32::MIN..=0 => "today".into(),
        1 => "tomorrow".into(),
        days => format!("in {days} days"),
    }
}

fn days_between(from: Date, to: Date) -> i32 {
    from.until(to).map_or(0, |span| span.get_days())
}

fn sure_word(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Guess => "a guess",
        Confidence::Fair => "fairly sure",
        Confidence::Sure => "sure",
    }
}

fn letter(line: usize) -> String {
    char::from(b'a' + (line % 26) as u8).to_string()
}

/// The head of an explanation: the letter of the choice it is about, else what the verdict says.
fn letter_of(what: &str, item: &Item, form: &Form, answer: &Answer) -> String {
    let (QuestionKind::Single(choices) | QuestionKind::Multiple(choices), Form::Choices { order, .. }) =
        (&item.question.kind, form)
    else {
        return match (what.is_empty(), answer) {
            (true, _) => String::new(),
            (false, _) => format!("{}: ", draw::cut(SafeText::line(what).as_str(), 24)),
        };
    };
    let is_it = |choice: &Choice| choice.id == what || Inline::plain(&choice.text) == what;
    let line = order.iter().position(|i| choices.get(*i).is_some_and(is_it));
    line.map_or_else(
        || format!("{}: ", draw::cut(SafeText::line(what).as_str(), 24)),
        |line| format!("{}: ", letter(line)),
    )
}

fn one_line(question: &Question) -> String {
    let names: Vec<(String, String)> = match &question.kind {
        QuestionKind::Cloze(blanks) => blanks.iter().map(|b| (b.id.clone(), "___".to_string())).collect(),
        _ => vec![],
    };
    Inline::plain(&fill(&question.ask, &names))
}

/// How a blank stands in the text: its number, then what was typed.
fn blank(at: usize, field: &Input) -> String {
    match field.text().trim() {
        "" => format!("__{}__", at + 1),
        typed => format!("__{typed}__"),
    }
}

/// Puts texts in place of the `{{ID}}` marks.
fn fill(inlines: &[Inline], names: &[(String, String)]) -> Vec<Inline> {
    let put = |text: &String| {
        names.iter().fold(text.clone(), |text, (id, shown)| text.replace(&format!("{{{{{id}}}}}"), shown))
    };
    (inlines.iter())
        .map(|inline| match inline {
            Inline::Text(text) => Inline::Text(put(text)),
            Inline::Code(text) => Inline::Code(put(text)),
            Inline::Emphasis(i) => Inline::Emphasis(fill(i, names)),
            Inline::Strong(i) => Inline::Strong(fill(i, names)),
            other => other.clone(),
        })
        .collect()
}

/// As `content::mark` compares: case and surrounding space do not count.
fn same(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}
