//! Every colour and every style; nothing else names one.
//!
//! Four roles of colour (accent, good, warn, quiet) over the terminal's own foreground and background. A page must
//! look right in monochrome: what matters is carried by weight, words or marks first.

use ratatui::style::{Color, Modifier, Style};

/// How colours are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    /// For a dark background.
    Dark,
    /// For a light background; every colour keeps a contrast of 4.5 on white.
    Light,
    /// `NO_COLOR`, `TERM=dumb` or `--color never`: bold, dim, underline and reverse only.
    Monochrome,
}

/// The named styles.
#[derive(Clone, Debug)]
pub struct Theme {
    /// Which palette the styles were made for.
    pub palette: Palette,
    /// What is read first: titles.
    pub title: Style,
    /// Headings in a text.
    pub heading: Style,
    /// Selection, focus, links: the one accent.
    pub accent: Style,
    /// Right answers, reached goals, done.
    pub good: Style,
    /// Wrong answers, notices, limits.
    pub warn: Style,
    /// What is read last: hints, footers, units.
    pub quiet: Style,
    /// Ordinary text.
    pub text: Style,
    /// Strong emphasis.
    pub strong: Style,
    /// Emphasis.
    pub emphasis: Style,
    /// Inline code and code blocks.
    pub code: Style,
    /// A glossary term that opens.
    pub term: Style,
    /// The line or choice under the cursor.
    pub selected: Style,
    /// A match of the search in the page.
    pub found: Style,
    /// Keywords, strings, numbers and comments in code, in this order.
    pub syntax: [Style; 4],
}

impl Theme {
    /// The styles of a palette.
    pub fn new(palette: Palette) -> Self {
        let plain = Style::new();
        let (accent, good, warn, quiet) = match palette {
            Palette::Dark => (Color::Cyan, Color::Green, Color::Yellow, Color::DarkGray),
            Palette::Light => (Color::Indexed(25), Color::Indexed(22), Color::Indexed(130), Color::Indexed(240)),
            Palette::Monochrome => (Color::Reset, Color::Reset, Color::Reset, Color::Reset),
        };
        let mono = palette == Palette::Monochrome;
        let colour = |c: Color| if mono { plain } else { plain.fg(c) };
        let quiet_style = if mono { plain.add_modifier(Modifier::DIM) } else { plain.fg(quiet) };
        Self {
            palette,
            title: plain.add_modifier(Modifier::BOLD),
            heading: colour(accent).add_modifier(Modifier::BOLD),
            accent: if mono { plain.add_modifier(Modifier::BOLD) } else { plain.fg(accent) },
            good: colour(good),
            warn: colour(warn).add_modifier(if mono { Modifier::BOLD } else { Modifier::empty() }),
            quiet: quiet_style,
            text: plain,
            strong: plain.add_modifier(Modifier::BOLD),
            emphasis: plain.add_modifier(Modifier::ITALIC),
            code: colour(good),
            term: colour(accent).add_modifier(Modifier::UNDERLINED),
            selected: plain.add_modifier(Modifier::REVERSED),
            found: colour(warn).add_modifier(Modifier::REVERSED),
            syntax: [colour(accent), colour(good), colour(warn), quiet_style],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monochrome_names_no_colour() {
        let theme = Theme::new(Palette::Monochrome);
        for style in [theme.accent, theme.good, theme.warn, theme.quiet, theme.heading, theme.code, theme.term] {
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }
}
