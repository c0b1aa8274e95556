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

    fn with(library: Arc<Library>, route: Option<Route>, columns: u16, rows: u16) -> Self {
        let shared = Shared {
            library,
            theme: Theme::new(Palette::Dark),
            summary: Summary::default(),
            summary_known: true,
            model: ModelState::Found("SmolLM2-135M".into()),
            today: date(2026, 11, 24),
            hour: 9,
        };
        let (app, effects) = App::new(shared, (columns, rows), route);
        Self { app, size: (columns, rows), effects }
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
    assert_snapshot!(Stage::fixture(60, 24).frame(), @"");
}

#[test]
fn a_term_opens_over_the_text_and_esc_puts_it_away() {
    let stage = Stage::fixture(60, 24).keys("<tab> <enter>");
    assert_snapshot!(stage.frame(), @"");
    let stage = stage.keys("<esc>");
    assert!(!stage.shows("Something that stands still"), "{}", stage.frame());
}

#[test]
fn a_whole_entry_has_all_that_belongs_to_it() {
    assert_snapshot!(Stage::open(Some(Route::Term("fixture-term".into())), 60, 44).frame(), @"");
}

#[test]
fn a_wide_screen_has_contents_and_the_note_beside_the_text() {
    assert_snapshot!(Stage::fixture(120, 24).keys("<tab>").frame(), @"");
}
