//! Code blocks: highlighted by scopes, in the theme's four styles. The grammars load at the first block that needs them.

use std::sync::LazyLock;

use ratatui::style::Style;
use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxSet};

use super::wrap::Piece;
use crate::text::SafeText;
use crate::theme::Theme;

/// A longer block is shown without colours: highlighting costs about a millisecond for ten lines.
const MAX_LINES: usize = 200;

/// Immutable once made, and only made when a lesson with code is opened.
static GRAMMARS: LazyLock<SyntaxSet> = LazyLock::new(SyntaxSet::load_defaults_newlines);

/// The lines of a code block as pieces; without colours if the language is unknown.
pub fn highlight(language: &str, text: &str, theme: &Theme) -> Vec<Vec<Piece>> {
    let plain = || text.lines().map(|line| vec![piece(line, theme.code)]).collect();
    if matches!(language, "" | "text" | "console" | "plain") || text.lines().count() > MAX_LINES {
        return plain();
    }
    coloured(language, text, theme).unwrap_or_else(plain)
}

fn piece(text: &str, style: Style) -> Piece {
    Piece { solid: true, ..Piece::new(SafeText::line(text).into_string(), style) }
}

fn coloured(language: &str, text: &str, theme: &Theme) -> Option<Vec<Vec<Piece>>> {
    let name = match language {
        "shell" => "sh",
        "jsonc" => "json",
        other => other,
    };
    let syntax = GRAMMARS.find_syntax_by_token(name)?;
    let [keyword, string, number, comment] = theme.syntax;
    let styles: Vec<(Scope, Style)> = [
        ("comment", comment),
        ("string", string),
        ("constant.numeric", number),
        ("constant.language", number),
        ("keyword", keyword),
        ("storage", keyword),
    ]
    .into_iter()
    .filter_map(|(scope, style)| Some((Scope::new(scope).ok()?, style)))
    .collect();
    let style_of = |stack: &ScopeStack| {
        let found = stack.as_slice().iter().rev().find_map(|scope| styles.iter().find(|(s, _)| s.is_prefix_of(*scope)));
        found.map_or(theme.text, |(_, style)| *style)
    };
    let mut state = ParseState::new(syntax);
    let mut stack = ScopeStack::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        let with_feed = format!("{line}\n");
        let mut pieces = Vec::new();
        let mut from = 0;
        for (at, change) in state.parse_line(&with_feed, &GRAMMARS).ok()? {
            let at = at.min(line.len());
            if at > from {
                pieces.push(piece(line.get(from..at)?, style_of(&stack)));
                from = at;
            }
            stack.apply(&change).ok()?;
        }
        if from < line.len() {
            pieces.push(piece(line.get(from..)?, style_of(&stack)));
        }
        lines.push(pieces);
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theme::Palette;

    #[test]
    fn keywords_strings_numbers_and_comments_have_their_styles() {
        let theme = Theme::new(Palette::Dark);
        let lines = highlight("python", "x = \"a\" # why\nreturn 7", &theme);
        let style = |text: &str| lines.iter().flatten().find(|p| p.text.contains(text)).map(|p| p.style);
        assert_eq!(style("a"), Some(theme.syntax[1]));
        assert_eq!(style("why"), Some(theme.syntax[3]));
        assert_eq!(style("return"), Some(theme.syntax[0]));
        assert_eq!(style("7"), Some(theme.syntax[2]));
    }

    #[test]
    fn an_unknown_language_is_shown_as_it_is() {
        let theme = Theme::new(Palette::Dark);
        assert_eq!(highlight("brainwave", "a\u{1b}b", &theme), [[piece("a␛b", theme.code)]]);
    }
}
