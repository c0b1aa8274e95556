//! `osai quiz` and `osai review` line by line: on a plain terminal, for a screen reader, or in a pipe.
//!
//! Each answer is on disk before its verdict is shown, so leaving (`q`, or the end of the input) loses nothing: a
//! later `osai quiz` goes on with the questions that the round has not come to. The app has the same quiz with keys.

use std::io::{self, ErrorKind};

use jiff::civil::Date;
use uuid::Uuid;

use super::answer::{Put, plain, safe};
use super::dialogue::Dialogue;
use crate::content::{ContentError, Library, Question, Verdict, mark};
use crate::progress::{Attempt, Progress, ProgressError};
use crate::text::SafeText;

/// Exit codes.
const DONE: u8 = 0;
const NOT_FOUND: u8 = 1;
const DATA: u8 = 3;
const PACK: u8 = 5;

/// A question on its way to the learner.
#[derive(Debug)]
struct Item {
    /// Key in the record.
    key: String,
    /// Id of the lesson.
    lesson: String,
    question: Question,
    pack: Option<String>,
}

/// Why a dialogue ended before its end.
enum Stop {
    /// The output failed or its reader is gone.
    Output(io::Error),
    /// A sentence and its exit code.
    Said(u8, String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<ProgressError> for Stop {
    fn from(error: ProgressError) -> Self {
        Self::Said(DATA, error.to_string())
    }
}

fn faults(errors: &[ContentError]) -> Stop {
    let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Stop::Said(PACK, text.join("\n"))
}

/// Asks the quiz of a lesson: those questions that the current round has not come to. Gives the exit code.
pub fn quiz(library: &Library, progress: &mut Progress, lesson: &str, dialogue: &mut Dialogue) -> u8 {
    let mut session = Session::new(library, progress, "quiz", dialogue);
    let result = session.quiz(lesson);
    exit_code(result, dialogue)
}

/// Asks everything that is due. Gives the exit code.
pub fn review(library: &Library, progress: &mut Progress, dialogue: &mut Dialogue) -> u8 {
    let mut session = Session::new(library, progress, "review", dialogue);
    let result = session.review();
    exit_code(result, dialogue)
}

fn exit_code(result: Result<(), Stop>, dialogue: &mut Dialogue) -> u8 {
    let (code, message) = match result {
        Ok(()) => return DONE,
        Err(Stop::Output(error)) if error.kind() == ErrorKind::BrokenPipe => return DONE,
        Err(Stop::Output(error)) => (DATA, format!("cannot go on ({error}); the answers given so far are kept")),
        Err(Stop::Said(code, message)) => (code, message),
    };
    // Where stderr itself is gone, there is nobody left to tell.
    writeln!(dialogue.err, "osai: {}", SafeText::new(message)).ok();
    code
}

/// What has happened so far.
#[derive(Debug, Default)]
struct Tally {
    answered: usize,
    right: usize,
    /// Answers that could not be recorded.
    unsaved: usize,
}

/// One run through questions.
struct Session<'a, 'io> {
    library: &'a Library,
    progress: &'a mut Progress,
    dialogue: &'a mut Dialogue<'io>,
    /// `quiz` or `review`, as it is recorded.
    mode: &'static str,
    /// Makes the id of an attempt.
    new_id: fn() -> String,
    tally: Tally,
}

impl<'a, 'io> Session<'a, 'io> {
    fn new(
        library: &'a Library,
        progress: &'a mut Progress,
        mode: &'static str,
        dialogue: &'a mut Dialogue<'io>,
    ) -> Self {
        // A version 7 id sorts by time; its random part comes from the system.
        let new_id = || Uuid::now_v7().to_string();
        Self { library, progress, dialogue, mode, new_id, tally: Tally::default() }
    }

    fn quiz(&mut self, name: &str) -> Result<(), Stop> {
        let Some(head) = self.library.find_lesson(name) else {
            let message = format!("no lesson `{}`; `osai lessons` lists them", safe(name));
            return Err(Stop::Said(NOT_FOUND, message));
        };
        let code = safe(&head.code());
        let quiz = self.library.quiz(&head.id).map_err(|errors| faults(&errors))?;
        let Some(quiz) = quiz.filter(|quiz| !quiz.questions.is_empty()) else {
            return Err(Stop::Said(NOT_FOUND, format!("lesson {code} has no quiz yet; `osai lesson {code}` shows it")));
        };
        let mut items: Vec<Item> = Vec::new();
        for question in quiz.questions {
            let key = self.library.record_key(&quiz.path, &format!("{}/{}", quiz.lesson, question.id));
            items.push(Item { pack: self.pack_of(&key), lesson: quiz.lesson.clone(), key, question });
        }
        let total = items.len();
        let keys: Vec<String> = items.iter().map(|item| item.key.clone()).collect();
        let left = self.progress.left_of_round(&keys)?;
        items.retain(|item| left.contains(&item.key));

        let extent = match items.len() {
            all if all == total => count(total, "question"),
            some => format!("{some} of {total} questions left of this round"),
        };
        self.open(&format!("{code} {}", safe(&head.title)), &extent)?;
        self.ask_all(&items)?;
        let ending = match items.len() - self.tally.answered {
            0 => format!("{}. `osai review` asks again what is due.", self.score("Done")),
            rest => format!("{}. `osai quiz {code}` goes on with the other {rest}.", self.score("Left")),
        };
        self.close(&ending)
    }

    fn review(&mut self) -> Result<(), Stop> {
        let today = (self.dialogue.clock)().date();
        let summary = self.progress.summary(today)?;
        let due = summary.due.len();
        let mut items: Vec<Item> = Vec::new();
        for key in summary.due {
            if let Some((lesson, question)) = self.library.question(&key) {
                items.push(Item { pack: self.pack_of(&key), lesson, key, question });
            }
        }
        if items.len() < due {
            let elsewhere = count(due - items.len(), "due question");
            self.warn(&format!(
                "{elsewhere} left out: not in this course; open the pack they are from with --pack DIR"
            ))?;
        }
        if items.is_empty() {
            let next = summary.items.iter().filter_map(|item| item.due_on).filter(|day| *day > today).min();
            let next = match next {
                Some(day) => format!("the next question comes {}", when(today, day)),
                None => "questions come here once you have answered them in a quiz".to_owned(),
            };
            return self.dialogue.say(0, &format!("Nothing is due today; {next}.")).map_err(Stop::from);
        }
        self.open("Review", &format!("{} due", count(items.len(), "question")))?;
        self.ask_all(&items)?;
        let ending = match items.len() - self.tally.answered {
            0 => format!("{}.", self.score("Done")),
            rest => format!("{}. `osai review` goes on with the other {rest}.", self.score("Left")),
        };
        self.close(&ending)
    }

    fn open(&mut self, title: &str, extent: &str) -> io::Result<()> {
        if let Some(notice) = self.progress.notice().map(safe) {
            self.warn(&notice)?;
        }
        let title = (self.dialogue.paint)(self.dialogue.theme.title, title);
        writeln!(self.dialogue.out, "{title}: {extent}. Each answer is kept at once; q leaves.")
    }

    fn score(&self, how: &str) -> String {
        format!("{how} after {}, {} right", count(self.tally.answered, "answer"), self.tally.right)
    }

    fn close(&mut self, ending: &str) -> Result<(), Stop> {
        writeln!(self.dialogue.out)?;
        self.dialogue.say(0, ending)?;
        match self.tally.unsaved {
            0 => Ok(()),
            unsaved => {
                Err(Stop::Said(DATA, format!("{} not saved; the reason stands above", count(unsaved, "answer"))))
            }
        }
    }

    /// Asks one after the other until all are answered or the learner leaves.
    fn ask_all(&mut self, items: &[Item]) -> io::Result<()> {
        for (number, item) in (1..).zip(items) {
            let place = (self.dialogue.paint)(self.dialogue.theme.quiet, &format!("{number} of {}", items.len()));
            writeln!(self.dialogue.out, "\n{place}")?;
            if self.ask(item)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Asks one question; `None` when the learner leaves, be it after an answer, which is recorded.
    fn ask(&mut self, item: &Item) -> io::Result<Option<()>> {
        let id = (self.new_id)();
        let put = Put::new(&item.question, &id);
        self.dialogue.say(2, &put.ask())?;
        for (number, choice) in (1..).zip(put.choices()) {
            self.dialogue.say_after(&format!("    {number:>2}  "), &choice)?;
        }
        let shown_at = (self.dialogue.clock)();
        let Some(answer) = self.dialogue.ask_answer(&put)? else { return Ok(None) };
        let answered_at = (self.dialogue.clock)();
        let confidence = self.dialogue.ask_confidence()?;
        let verdict = mark(&item.question, &answer);
        let elapsed_ms = answered_at.timestamp().as_millisecond() - shown_at.timestamp().as_millisecond();
        let attempt = Attempt {
            id,
            item: item.key.clone(),
            mode: self.mode.to_owned(),
            answer: serde_json::to_string(&answer).expect("an answer is plain data"),
            right: verdict.right,
            score: verdict.score,
            confidence: confidence.flatten(),
            // A clock that was set back in between gives no time taken.
            elapsed_ms: u64::try_from(elapsed_ms).unwrap_or(0),
            answered_at: answered_at.timestamp().as_second(),
            content_version: self.library.version(),
            pack: item.pack.clone(),
        };
        let recorded = self.progress.record(&attempt, answered_at.date());
        self.tally.answered += 1;
        self.tally.right += usize::from(verdict.right);
        self.show(item, &verdict)?;
        match recorded {
            Ok(card) if self.progress.notice().is_none() => {
                self.dialogue.say(2, &format!("It is asked again {}.", when(answered_at.date(), card.due_on)))?;
            }
            Ok(_) => {}
            Err(error) => {
                self.tally.unsaved += 1;
                self.warn(&error.to_string())?;
            }
        }
        Ok(confidence.map(drop))
    }

    /// The verdict, why, and where to read again.
    fn show(&mut self, item: &Item, verdict: &Verdict) -> io::Result<()> {
        let theme = self.dialogue.theme;
        let (style, word) = match verdict {
            Verdict { right: true, .. } => (theme.good, "Right.".to_owned()),
            Verdict { score, .. } if *score > 0.0 => (theme.warn, format!("Partly right ({:.0} %).", score * 100.0)),
            Verdict { .. } => (theme.warn, "Not right.".to_owned()),
        };
        let word = (self.dialogue.paint)(style, &word);
        writeln!(self.dialogue.out, "\n  {word}")?;
        if !verdict.right {
            self.dialogue.say(2, &format!("The answer: {}", safe(&verdict.right_answer)))?;
        }
        for (about, why) in &verdict.why {
            self.dialogue.say_after("  - ", &format!("{}: {}", safe(about.trim()), plain(why)))?;
        }
        if let (false, Some(section)) = (verdict.right, &item.question.section) {
            let code = safe(&item.lesson.to_uppercase());
            self.dialogue.say(2, &format!("Read again: {code}, \"{}\" (`osai lesson {code}`).", safe(section)))?;
        }
        Ok(())
    }

    fn warn(&mut self, message: &str) -> io::Result<()> {
        writeln!(self.dialogue.err, "osai: {}", safe(message))
    }

    /// The pack that an item is from: its key begins with the pack's id.
    fn pack_of(&self, key: &str) -> Option<String> {
        let pack = self.library.pack()?;
        key.strip_prefix(&pack.id)?.starts_with(':').then(|| pack.id.clone())
    }
}

/// `1 answer`, `3 answers`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `tomorrow`, or `in 3 days, on Thursday 3 December`; with the year where it is another one.
fn when(today: Date, day: Date) -> String {
    let days = day.duration_since(today).as_hours() / 24;
    match days {
        1 => "tomorrow".to_owned(),
        _ if day.year() == today.year() => format!("in {days} days, on {}", day.strftime("%A %-d %B")),
        _ => format!("in {days} days, on {}", day.strftime("%A %-d %B %Y")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::content::{Choice, Inline, QuestionKind};
    use crate::progress::shuffled;
    use crate::theme::{Palette, Theme};

    fn text(text: &str) -> Vec<Inline> {
        vec![Inline::Text(text.into())]
    }

    fn item(id: &str, kind: QuestionKind) -> Item {
        let section = Some("Openness".to_owned());
        let question = Question { id: id.into(), ask: text("Is a tap water?"), term: None, section, kind };
        Item { key: format!("f1/{id}"), lesson: "f1".into(), question, pack: None }
    }

    fn true_false(id: &str) -> Item {
        let (why_true, why_false) = (text("Water comes out of it."), text("A tap is a valve."));
        item(id, QuestionKind::TrueFalse { answer: false, why_true, why_false })
    }

    /// Asks `items` with `input` typed; gives what was written on both streams, and the tally.
    fn asked(items: &[Item], input: &[u8], progress: &mut Progress) -> (String, String, Tally) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let theme = Theme::new(Palette::Monochrome);
        let noon = Timestamp::from_second(1_795_521_600).unwrap().to_zoned_datetime(TimeZone::UTC);
        let mut input = input;
        let mut dialogue = Dialogue {
            input: &mut input,
            out: &mut out,
            err: &mut err,
            is_echoed: false,
            clock: &|| noon.clone(),
            width: 48,
            theme: &theme,
            paint: |_, text| text.to_owned(),
        };
        let library = Library::embedded();
        let mut session = Session::new(&library, progress, "quiz", &mut dialogue);
        session.ask_all(items).unwrap();
        let tally = session.tally;
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), tally)
    }

    #[test]
    fn a_wrong_answer_is_explained_and_comes_again_tomorrow() {
        let mut progress = Progress::in_memory();
        let (out, err, tally) = asked(&[true_false("a")], b"maybe\n1\n3\n", &mut progress);
        let expected = "
1 of 1
  Is a tap water?
     1  True
     2  False
  number > maybe
  Not understood: type 1 for true or 2 for
  false.
  number > 1
  how sure? 1 guess, 2 fairly sure, 3 sure, enter skips > 3

  Not right.
  The answer: False
  - True: Water comes out of it.
  - False: A tap is a valve.
  Read again: F1, \"Openness\" (`osai lesson F1`).
  It is asked again tomorrow.
";
        assert_eq!((&*out, &*err), (expected, ""));
        assert_eq!((tally.answered, tally.right), (1, 0));
        let (_, attempt) = &progress.attempts().unwrap()[0];
        assert_eq!((&*attempt.item, &*attempt.answer, &*attempt.mode), ("f1/a", r#"{"true-false":true}"#, "quiz"));
        assert_eq!(progress.summary(date(2026, 11, 25)).unwrap().due, ["f1/a"]);
    }

    #[test]
    fn q_and_the_end_of_the_input_leave_and_keep_what_was_answered() {
        let items = [true_false("a"), true_false("b")];
        for (input, answers) in
            [("", 0), ("q\n", 0), ("2\n", 1), ("2\nq\n", 1), ("2\n\n", 1), ("2\n\nq\n", 1), ("2\n\n1\n\n1\n", 2)]
        {
            let mut progress = Progress::in_memory();
            let (_, _, tally) = asked(&items, input.as_bytes(), &mut progress);
            assert_eq!((tally.answered, progress.attempt_count().unwrap()), (answers, answers as u64), "{input:?}");
        }
    }

    #[test]
    fn numbers_stand_for_the_shuffled_choices() {
        let choice = |id: &str, right| Choice { id: id.into(), text: text(id), right, why: text("So.") };
        let choices = vec![choice("first", true), choice("second", false), choice("third", false)];
        let items = [item("a", QuestionKind::Single(choices))];
        let mut rights = 0;
        for _ in 0..20 {
            let mut progress = Progress::in_memory();
            rights += asked(&items, b"1\n\n", &mut progress).2.right;
            let (_, attempt) = progress.attempts().unwrap().remove(0);
            let first = ["first", "second", "third"][shuffled(3, &attempt.id)[0]];
            assert_eq!(attempt.answer, format!(r#"{{"choices":["{first}"]}}"#));
        }
        assert!(rights < 20, "the first choice as written is not always the first shown");
    }

    #[test]
    fn hostile_text_and_endless_lines_do_no_harm() {
        let mut hostile = true_false("a");
        hostile.question.ask = text("a\u{1b}]0;x\u{7} b\u{202e}c");
        hostile.question.section = Some("\u{1b}[31m".into());
        let input = [vec![b'x'; 1 << 20], b"\n\xff\xfe\n1\n\n".to_vec()].concat();
        let (out, _, tally) = asked(&[hostile], &input, &mut Progress::in_memory());
        assert_eq!(tally.answered, 1);
        assert!(out.chars().all(|c| c == '\n' || !c.is_control()), "{out:?}");
        assert!(!out.contains('\u{202e}'));
    }

    #[test]
    fn what_cannot_be_saved_is_said_once_for_each_answer_and_promises_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let _first = Progress::open(dir.path()).unwrap();
        let mut second = Progress::open(dir.path()).unwrap();
        let (out, err, tally) = asked(&[true_false("a")], b"2\n\n", &mut second);
        assert!(out.contains("Right.") && !out.contains("asked again"), "{out}");
        assert_eq!(err, "osai: not saved: another osai has your record open; close it and start this one again\n");
        assert_eq!(tally.unsaved, 1);
    }

    #[test]
    fn days_are_said_as_people_say_them() {
        let today = date(2026, 11, 24);
        assert_eq!(when(today, date(2026, 11, 25)), "tomorrow");
        assert_eq!(when(today, date(2026, 12, 3)), "in 9 days, on Thursday 3 December");
        assert_eq!(when(today, date(2027, 1, 1)), "in 38 days, on Friday 1 January 2027");
    }
}
