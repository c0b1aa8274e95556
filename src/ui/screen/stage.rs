//! A stage for tests of single screens: what all screens read, and a frame as text.

use std::sync::Arc;

use jiff::civil::date;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{ModelState, Shared};
use crate::content::Library;
use crate::engine::{ModelInfo, RunStats, Stop};
use crate::labs::{Key, KeyPress};
use crate::progress::Summary;
use crate::theme::{Palette, Theme};

/// The embedded course, an empty record that was read, an open model, and Tuesday 24 November 2026.
pub(super) fn shared() -> Shared {
    Shared {
        library: Arc::new(Library::embedded()),
        theme: Theme::new(Palette::Monochrome),
        summary: Summary::default(),
        summary_known: true,
        model: ModelState::Ready(info()),
        today: date(2026, 11, 24),
        hour: 9,
    }
}

pub(super) fn info() -> ModelInfo {
    ModelInfo {
        name: "Tiny".into(),
        path: "tiny.gguf".into(),
        architecture: "llama".into(),
        quantization: "Q4_1".into(),
        parameters: 1,
        num_hidden_layers: 1,
        hidden_size: 1,
        vocab_size: 5,
        max_position_embeddings: 64,
        file_bytes: 1,
        has_chat_template: true,
    }
}

pub(super) fn stats(stop: Stop, prompt_tokens: usize, new_tokens: usize) -> RunStats {
    RunStats {
        stop,
        seed: 7,
        prompt_tokens,
        new_tokens,
        tokens_per_second: 31.5,
        time_to_first_token_ms: 180.0,
        ..RunStats::default()
    }
}

/// What `view` draws, rows without the spaces at their ends.
pub(super) fn frame(columns: u16, rows: u16, view: impl Fn(Rect, &mut Buffer)) -> String {
    let area = Rect::new(0, 0, columns, rows);
    let mut buf = Buffer::empty(area);
    view(area, &mut buf);
    let row = |y| (0..columns).map(|x| buf[(x, y)].symbol()).collect::<String>();
    let rows: Vec<String> = (0..rows).map(|y| row(y).trim_end().to_string()).collect();
    rows.join("\n").trim_end().to_string()
}

/// Keys from words: `enter`, `esc`, `tab`, `up`, `down`, `left`, `right`, `^x`; everything else is typed letter by letter.
pub(super) fn keys(words: &str) -> Vec<KeyPress> {
    let named = |word: &str| {
        Some(KeyPress::plain(match word {
            "enter" => Key::Enter,
            "esc" => Key::Esc,
            "tab" => Key::Tab,
            "space" => Key::Char(' '),
            "backspace" => Key::Backspace,
            "up" => Key::Up,
            "down" => Key::Down,
            "left" => Key::Left,
            "right" => Key::Right,
            _ => return None,
        }))
    };
    let word = |word: &str| match (named(word), word.strip_prefix('^').and_then(|w| w.chars().next())) {
        (Some(key), _) => vec![key],
        (None, Some(c)) => vec![KeyPress::ctrl(c)],
        (None, None) => word.chars().map(KeyPress::char).collect(),
    };
    words.split_whitespace().flat_map(word).collect()
}
