//! Screens as the learner sees them: keys and news in, a frame out. A fixture lesson stands at the end of the course.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::sync::Arc;

use insta::assert_snapshot;
use jiff::civil::date;
use osai::content::Library;
use osai::engine::{EngineError, RunId, Update};
use osai::labs::{Key, KeyPress};
use osai::progress::{LessonPosition, Summary};
use osai::theme::{Palette, Theme};
use osai::ui::app::App;
use osai::ui::event::{Effect, Event, Mouse, MouseAction};
use osai::ui::screen::{ModelState, Route, Shared};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Modifier;

const LESSON: &str = r#"+++
id = "x90"
title = "A fixture"
level = "expert"
order = 90
minutes = 7
status = "ready"
outcomes = ["read a page"]
terms = ["fixture-term"]
prerequisites = ["f1"]

[[sources]]
title = "A source"
url = "https://example.org/source"
checked = 2026-11-24
+++

Whoever opens a page reads a [fixture term](term:fixture-term) first, then
goes to [the first lesson](lesson:f1), or looks at [a site](https://example.org).

## First section

| Published | Fully open | Open weights |
|-----------|------------|--------------|
| Weights   | yes        | yes          |
| Data      | yes        | no, and nobody outside can rebuild the model |

## Second section

1. one
2. two
   - deeper &#27;[31m red

> [!NOTE]
> Mind the *licence*.

```python
print("hello")  # to the world
```

## Third section

Long ago there was a word. Then there were many words, and at last a needle
stood in the hay. The needle was found.
"#;

const QUIZ: &str = r#"lesson = "x90"

[[question]]
id = "stands-still"
kind = "true-false"
ask = "A fixture stands still."
term = "fixture-term"
section = "First section"
answer = true
why_true = "It does."
why_false = "It does."
"#;

const TERM: &str = r#"+++
id = "fixture-term"
title = "Fixture term"
short = "Something that stands still while it is looked at."
level = "foundations"
category = "Evaluation"
aliases = ["stand-in"]
described = ["the thing that does not move"]
related = ["open-weights"]
lessons = ["x90", "f1"]
why = "Without it nothing could be compared."

[[sources]]
title = "A source"
url = "https://example.org/term"
checked = 2026-11-24
+++

A fixture holds a piece in place.
"#;

fn library() -> Arc<Library> {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("pack.toml", "id = \"fixture\"\ntitle = \"Fixture\"\nversion = \"1\"\nosai = \"0.1\"\n"),
        ("lessons/x90-a-fixture.md", LESSON),
        ("quizzes/x90.toml", QUIZ),
        ("glossary/fixture-term.md", TERM),
    ] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let library = Library::with_pack(dir.path(), &osai::labs::ids());
    Arc::new(library.unwrap_or_else(|faults| panic!("{}", faults.iter().map(|f| format!("{f}\n")).collect::<String>())))
}

/// The app on a screen that exists only in memory.
struct Stage {
    app: App,
    size: (u16, u16),
    effects: Vec<Effect>,
}

impl Stage {
    fn open(route: Option<Route>, columns: u16, rows: u16) -> Self {
        Self::with(library(), route, columns, rows)
    }

    /// As at a start: the record has not been read yet.
    fn before_the_record(route: Route, columns: u16, rows: u16) -> Self {
        Self::build(library(), Some(route), (columns, rows), false)
    }

    fn with(library: Arc<Library>, route: Option<Route>, columns: u16, rows: u16) -> Self {
        Self::build(library, route, (columns, rows), true)
    }

    fn build(library: Arc<Library>, route: Option<Route>, size: (u16, u16), summary_known: bool) -> Self {
        let shared = Shared {
            library,
            theme: Theme::new(Palette::Dark),
            summary: Summary::default(),
            summary_known,
            model: ModelState::Found("SmolLM2-135M".into()),
            today: date(2026, 11, 24),
            hour: 9,
        };
        let (app, effects) = App::new(shared, size, route);
        Self { app, size, effects }
    }

    fn fixture(columns: u16, rows: u16) -> Self {
        Self::open(Some(Route::Lesson { id: "x90".into(), section: None }), columns, rows)
    }

    fn event(&mut self, event: Event) {
        self.effects.extend(self.app.update(event));
    }

    /// Presses keys by name, separated by spaces; other words are typed letter by letter.
    fn keys(mut self, keys: &str) -> Self {
        for word in keys.split_whitespace() {
            let press = match word {
                "<enter>" => KeyPress::plain(Key::Enter),
                "<esc>" => KeyPress::plain(Key::Esc),
                "<tab>" => KeyPress::plain(Key::Tab),
                "<space>" => KeyPress::char(' '),
                "<end>" => KeyPress::plain(Key::End),
                "<down>" => KeyPress::plain(Key::Down),
                "<back>" => KeyPress::plain(Key::Backspace),
                "<ctrl-c>" => KeyPress::ctrl('c'),
                "<ctrl-z>" => KeyPress::ctrl('z'),
                word => {
                    word.chars().for_each(|c| self.event(Event::Key(KeyPress::char(c))));
                    continue;
                }
            };
            self.event(Event::Key(press));
        }
        self
    }

    fn click(mut self, column: u16, row: u16) -> Self {
        self.event(Event::Mouse(Mouse { column, row, action: MouseAction::Click }));
        self
    }

    fn resize(mut self, columns: u16, rows: u16) -> Self {
        self.size = (columns, rows);
        self.event(Event::Resize(columns, rows));
        self
    }

    fn buffer(&self) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(self.size.0, self.size.1)).unwrap();
        terminal.draw(|frame| self.app.view(frame.area(), frame.buffer_mut())).unwrap();
        terminal.backend().buffer().clone()
    }

    fn frame(&self) -> String {
        let buffer = self.buffer();
        let mut rows = Vec::new();
        for y in 0..self.size.1 {
            let row: String = (0..self.size.0).map(|x| buffer[(x, y)].symbol()).collect();
            rows.push(row.trim_end().to_string());
        }
        rows.join("\n").trim_end().to_string()
    }

    /// The row in which a text stands.
    fn row_of(&self, text: &str) -> u16 {
        let frame = self.frame();
        let row = frame.lines().position(|line| line.contains(text));
        row.unwrap_or_else(|| panic!("`{text}` is not on the screen:\n{frame}")) as u16
    }

    fn shows(&self, text: &str) -> bool {
        self.frame().contains(text)
    }
}

fn read(lesson: &str, position: f64, completed_at: Option<i64>) -> LessonPosition {
    LessonPosition { lesson: lesson.into(), furthest: position, position, completed_at, updated_at: 0 }
}

#[test]
fn a_lesson_reads_as_a_page() {
    assert_snapshot!(Stage::fixture(60, 24).frame(), @r"
    X90 A fixture                        1 of 3 · 0%

     Expert · 7 minutes

     After this lesson you can:

     • read a page

     Whoever opens a page reads a fixture term first, then
     goes to the first lesson, or looks at a site.

     First section

     Published  Fully open  Open weights
     ────────────────────────────────────────────────────────
     Weights    yes         yes

     Data       yes         no, and nobody outside can
                            rebuild the model

     Second section


     space on   tab next link   c contents   ? keys   esc back
    ");
}

#[test]
fn a_term_opens_over_the_text_and_esc_puts_it_away() {
    let stage = Stage::fixture(60, 24).keys("<tab> <enter>");
    assert_snapshot!(stage.frame(), @r"
    X90 A fixture                        1 of 3 · 0%

     Expert · 7 minutes

     After this lesson you can:

     • read a page

     Whoever opens a page reads a fixture term first, then
     ┌─ Fixture term ──────────────────────────────── term ─┐
     │ Something that stands still while it is looked at.   │
     │                                                      │
     │ See also: Open weights                               │
     └──────────────────────────────────────────────────────┘
     ────────────────────────────────────────────────────────
     Weights    yes         yes

     Data       yes         no, and nobody outside can
                            rebuild the model

     Second section


     enter whole entry   tab next link   ? keys   esc close
    ");
    let stage = stage.keys("<esc>");
    assert!(!stage.shows("Something that stands still"), "{}", stage.frame());
    assert!(stage.keys("<enter> <enter>").shows("glossary"));
}

#[test]
fn a_whole_entry_has_all_that_belongs_to_it() {
    assert_snapshot!(Stage::open(Some(Route::Term("fixture-term".into())), 60, 40).frame(), @r"
    Fixture term                                      glossary

     Fixture term

     Foundations · Evaluation · also stand-in

     Something that stands still while it is looked at.

     A fixture holds a piece in place.

     Why it matters

     Without it nothing could be compared.

     See also

     Open weights

     In lessons

     • X90 A fixture
     • F1 What open-source AI is, and why it matters

     Sources

     • A source (checked 2026-11-24)













     tab next link   c contents   / find   ? keys   esc back
    ");
}

#[test]
fn a_wide_screen_has_contents_and_the_note_beside_the_text() {
    assert_snapshot!(Stage::fixture(120, 24).keys("<tab>").frame(), @r"
    X90 A fixture                                                                                    1 of 3 · 0%

         Expert · 7 minutes                                                          Contents
                                                                                       First section
         After this lesson you can:                                                    Second section
                                                                                       Third section
         • read a page                                                                 Terms of this lesson
                                                                                       Sources
         Whoever opens a page reads a fixture term first, then goes to the first
         lesson, or looks at a site.

         First section
                                                                                     Fixture term
         Published  Fully open  Open weights                                         Something that stands still
         ───────────────────────────────────────────────────────────────────         while it is looked at.
         Weights    yes         yes
         Data       yes         no, and nobody outside can rebuild the model         See also: Open weights

         Second section                                                              enter whole entry

         1. one
         2. two

     space on   tab next link   enter follow   c contents   ? keys   esc back
    ");
}

#[test]
fn links_lead_to_lessons_and_backspace_back() {
    let stage = Stage::fixture(80, 24).keys("<tab> <tab> <enter>");
    assert!(stage.shows("F1 "), "{}", stage.frame());
    assert!(stage.keys("<back>").shows("X90 A fixture"));
    let web = Stage::fixture(80, 24).keys("<tab> <tab> <tab> <enter>");
    assert!(web.shows("https://example.org   (osai opens no network)"), "{}", web.frame());
}

#[test]
fn a_click_follows_a_link_and_the_wheel_scrolls() {
    let stage = Stage::fixture(80, 24);
    let row = stage.row_of("fixture term");
    let column = stage.frame().lines().nth(usize::from(row)).unwrap().find("fixture term").unwrap() as u16;
    let mut stage = stage.click(column + 2, row);
    assert!(stage.shows("Something that stands still"), "{}", stage.frame());
    stage = stage.keys("<esc>");
    stage.event(Event::Mouse(Mouse { column: 9, row: 9, action: MouseAction::ScrollDown }));
    assert!(!stage.shows("After this lesson"), "{}", stage.frame());
}

#[test]
fn search_in_the_page_goes_from_match_to_match() {
    let stage = Stage::fixture(80, 24).keys("/ needle");
    assert!(stage.shows("1 of 2"), "{}", stage.frame());
    let stage = stage.keys("<enter>");
    assert!(stage.shows("The needle was found"), "{}", stage.frame());
    let marked = |stage: &Stage| {
        let buffer = stage.buffer();
        buffer.content().iter().filter(|c| c.modifier.contains(Modifier::REVERSED)).count()
    };
    assert_eq!(marked(&stage), 2 * "needle".len());
    assert_eq!(marked(&stage.keys("<esc>")), 0);
}

#[test]
fn letters_typed_into_a_search_are_letters() {
    let mut stage = Stage::open(Some(Route::Search(String::new())), 80, 24).keys("q?tr");
    assert!(stage.shows("› q?tr"), "{}", stage.frame());
    stage = stage.keys("<esc>");
    assert_eq!(stage.app.exit(), None);
    assert!(stage.shows("Foundations"), "{}", stage.frame());
    let reader = Stage::fixture(80, 24).keys("/ qxzg");
    assert!(reader.shows("› qxzg") && reader.shows("not on this page"), "{}", reader.frame());
}

#[test]
fn the_glossary_narrows_while_one_types() {
    let stage = Stage::open(Some(Route::Glossary(String::new())), 80, 24).keys("fixtur");
    assert!(stage.shows("▸ Fixture term"), "{}", stage.frame());
    assert!(stage.shows("Something that stands still"), "{}", stage.frame());
    assert!(stage.keys("<enter>").shows("Why it matters"));
}

#[test]
fn search_shows_where_the_words_stand() {
    let stage = Stage::open(Some(Route::Search("needle hay".into())), 80, 24);
    assert!(stage.shows("X90  A fixture"), "{}", stage.frame());
    assert!(stage.keys("<enter>").shows("X90 A fixture"));
}

#[test]
fn reading_is_kept_by_pages_and_on_leaving() {
    let mut stage = Stage::fixture(80, 20);
    let saved = |stage: &mut Stage| -> Vec<(f64, bool)> {
        let effects = std::mem::take(&mut stage.effects);
        let kept = effects.into_iter().filter_map(|effect| match effect {
            Effect::SavePosition { lesson, position, completed } if lesson == "fixture:x90" => {
                Some((position, completed))
            }
            _ => None,
        });
        kept.collect()
    };
    assert_eq!(saved(&mut stage), [(0.0, false)]);
    stage = stage.keys("<space>");
    let [(first, false)] = saved(&mut stage)[..] else { panic!("one page, one position") };
    assert!(first > 0.1);
    stage = stage.keys("j <esc>");
    let [(second, false)] = saved(&mut stage)[..] else { panic!("kept on leaving") };
    assert!(second > first);
    stage = Stage::fixture(80, 20).keys("x");
    assert_eq!(saved(&mut stage).last(), Some(&(0.0, true)));
    assert!(stage.shows("marked as done"));
}

#[test]
fn a_lesson_opens_where_the_learner_stopped_even_if_the_record_comes_late() {
    let lesson = Route::Lesson { id: "x90".into(), section: None };
    let mut stage = Stage::before_the_record(lesson, 80, 20);
    assert!(stage.effects.iter().all(|effect| !matches!(effect, Effect::SavePosition { .. })), "{:?}", stage.effects);
    let summary = Summary { lessons: vec![read("fixture:x90", 0.5, None)], ..Summary::default() };
    stage.event(Event::Summary(Box::new(summary)));
    assert!(stage.shows("Second section") && !stage.shows("After this lesson"), "{}", stage.frame());
    let stage = stage.keys("<esc> <end>");
    assert!(stage.shows("50%  7 min"), "{}", stage.frame());
    let row = stage.row_of("X90");
    assert!(stage.click(20, row).shows("Second section"));
}

#[test]
fn home_says_what_is_due_and_where_to_go_on() {
    let mut stage = Stage::open(None, 80, 60);
    stage.event(Event::Summary(Box::new(Summary {
        lessons: vec![read("fixture:x90", 0.4, None), read("f1", 1.0, Some(1))],
        due: vec!["a".into(), "b".into(), "c".into()],
        last_screen: Some(r#"{"lesson":"x90"}"#.into()),
        ..Summary::default()
    })));
    let frame = stage.frame();
    for text in [
        "Good morning. 3 reviews are due; you stopped in A fixture, at 40%.",
        "▸ Continue    X90  A fixture",
        "5 min left",
        "Review      3 cards, about 2 min",
        "✓ F1 ",
        "● X90  A fixture",
        "model SmolLM2-135M",
    ] {
        assert!(frame.contains(text), "`{text}` is missing:\n{frame}");
    }
    assert!(stage.resize(80, 20).keys("<enter>").shows("Second section"));
}

#[test]
fn the_footer_and_the_help_name_the_same_keys() {
    let stage = Stage::open(None, 80, 40);
    let footer = stage.frame().lines().last().unwrap().to_string();
    assert_eq!(footer, "  ↑↓ move   enter open   / search   g glossary   ? keys   q quit");
    let help = stage.keys("?").frame();
    for text in ["enter", "glossary", "chat with the model", "dark, light, plain", "shift selects text"] {
        assert!(help.contains(text), "{help}");
    }
    let reader = Stage::fixture(40, 15);
    assert_eq!(reader.frame().lines().last().unwrap(), "  space on   ? keys   esc back");
}

#[test]
fn a_click_on_the_footer_presses_its_key() {
    let stage = Stage::open(None, 80, 24);
    let column = stage.frame().lines().last().unwrap().chars().position(|c| c == 'g').unwrap() as u16;
    assert!(stage.click(column, 23).shows("type to find a term"));
}

#[test]
fn t_goes_round_the_palettes_and_remembers() {
    let mut stage = Stage::open(None, 80, 24).keys("t");
    assert!(stage.effects.contains(&Effect::SaveLastScreen(r#"{"theme":"light"}"#.into())), "{:?}", stage.effects);
    stage = stage.keys("t");
    assert!(stage.shows("no colours"));
    let buffer = stage.buffer();
    let coloured =
        |c: &ratatui::buffer::Cell| c.fg != ratatui::style::Color::Reset || c.bg != ratatui::style::Color::Reset;
    assert!(!buffer.content().iter().any(coloured));
}

#[test]
fn what_cannot_be_kept_is_said_at_home_as_long_as_it_holds() {
    let mut stage = Stage::open(None, 80, 24);
    stage.event(Event::NotKept("progress cannot be kept in `/ro` (read-only)".into()));
    let stage = stage.keys("<down>");
    assert!(stage.shows("progress cannot be kept in `/ro` (read-only)"), "{}", stage.frame());
}

#[test]
fn a_model_that_cannot_be_opened_is_known_to_all() {
    let mut stage = Stage::open(None, 80, 24);
    let error = EngineError::BadFile { path: "m.gguf".into(), why: "no GGUF".into() };
    stage.event(Event::Engine(RunId(9), Update::Failed(error)));
    assert!(matches!(stage.app.shared().model, ModelState::Missing(_)));
    assert!(stage.shows("no model (m says why)"), "{}", stage.frame());
}

#[test]
fn ctrl_keys_work_while_text_is_typed() {
    let stage = Stage::open(Some(Route::Search(String::new())), 80, 24).keys("abc <ctrl-z>");
    assert!(stage.effects.contains(&Effect::Suspend));
    let mut stage = stage.keys("<ctrl-c>");
    assert_eq!(stage.app.exit(), Some(130));
    stage.event(Event::Signal(15));
    assert_eq!(stage.app.exit(), Some(130));
}

#[test]
fn a_signal_ends_with_its_number_and_keeps_the_place() {
    let mut stage = Stage::fixture(80, 20).keys("j j j");
    stage.effects.clear();
    stage.event(Event::Signal(15));
    assert_eq!(stage.app.exit(), Some(143));
    assert!(matches!(stage.effects[..], [Effect::SavePosition { .. }, Effect::Quit(143)]), "{:?}", stage.effects);
}

#[test]
fn escapes_in_content_are_shown_and_not_obeyed() {
    let stage = Stage::fixture(80, 50);
    assert!(stage.shows("deeper ␛[31m red"), "{}", stage.frame());
}

#[test]
fn a_smaller_terminal_says_what_it_needs() {
    assert_eq!(Stage::open(None, 39, 15).frame(), "osai needs 40×15, this is 39×15: make\nthe window larger");
    let back = Stage::open(None, 80, 24).resize(10, 3).resize(80, 24);
    assert_eq!(back.frame(), Stage::open(None, 80, 24).frame());
}

/// Everything that can be open, at a size; each must draw something and survive its keys.
fn routes() -> Vec<Option<Route>> {
    let lab = |id: &str| Route::Lab { id: id.into(), lesson: None, params: "{}".into() };
    let mut routes = vec![
        None,
        Some(Route::Lesson { id: "x90".into(), section: Some("Second section".into()) }),
        Some(Route::Term("fixture-term".into())),
        Some(Route::Glossary("f".into())),
        Some(Route::Search("open".into())),
        Some(Route::Quiz("x90".into())),
        Some(Route::Progress),
        Some(Route::Chat),
    ];
    routes.extend(osai::labs::ids().into_iter().map(|id| Some(lab(id))));
    routes
}

#[test]
fn no_size_makes_any_screen_panic() {
    let library = library();
    for route in routes() {
        let mut stage = Stage::with(Arc::clone(&library), route.clone(), 80, 24);
        for columns in 1..=40 {
            for rows in 1..=15 {
                stage = stage.resize(columns, rows);
                stage.buffer();
            }
        }
        for (columns, rows) in [(40, 15), (41, 16), (80, 24), (110, 20), (150, 50), (500, 200), (200, 15), (40, 200)] {
            stage = stage.resize(columns, rows).keys("<tab> <enter>");
            assert!(!stage.frame().trim().is_empty(), "{route:?} draws nothing at {columns}×{rows}");
            stage = stage.keys("? <down>");
            stage.buffer();
            stage = stage.keys("<esc>");
            if stage.app.exit().is_some() {
                break;
            }
        }
    }
}
