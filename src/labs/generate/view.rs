//! How the lab `generate` looks, drawn and as plain lines.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::questions::Question;
use super::take::Drawn;
use super::{Checked, Generate, Stage};
use crate::labs::widgets::{below, draw_lines, flow, top, wrap};
use crate::text::SafeText;
use crate::theme::Theme;

const WHY: &str = "The model reads the prompt as tokens and gives a probability to every token that could come next. \
One is drawn, set behind the text, and all begins again: that is the whole of it. Nothing in this loop looks anything \
up. A wrong answer is made the same way as a right one, often with probabilities as high; how sure a model is of its \
words says little about whether they are true. The draws come from a random number generator that starts at the seed, \
so the same seed, prompt, settings and file give the same text. At temperature 0 the likeliest token is always taken, \
and the seed changes nothing. Everything here happens in this program: the model is a file on this machine.";

const LEGEND: &str = "underlined: under 50%; bold and underlined: under 10%; ←→ looks at a token";

impl Generate {
    /// The answer as styled runs, the token looked at reversed.
    fn runs(&self, theme: &Theme) -> Vec<(String, Style)> {
        let take = self.shown();
        if take.tokens.is_empty() {
            let kept = self.questions.get(self.selected).and_then(|q| q.kept.answer.as_ref());
            let kept =
                kept.or(self.state.last.as_ref().filter(|l| !self.on_question() && l.prompt == self.prompt.text()));
            return kept.map(|k| vec![(SafeText::new(&*k.text).into_string(), theme.text)]).unwrap_or_default();
        }
        let mut runs: Vec<(String, Style)> = vec![];
        for (i, token) in take.tokens.iter().enumerate() {
            let mut style = token.style(theme);
            if self.cursor == Some(i) {
                style = style.add_modifier(Modifier::REVERSED);
            }
            runs.push((SafeText::new(&*token.text).into_string(), style));
        }
        runs
    }

    /// The token looked at, in words: `token 7 of 23  " Sydney" 61.3%; also " Can" 20.1%`.
    fn token_line(&self) -> Option<String> {
        let tokens = &self.shown().tokens;
        let at = self.cursor.unwrap_or(tokens.len().checked_sub(1)?);
        let token: &Drawn = tokens.get(at)?;
        let others: Vec<String> = token
            .candidates
            .iter()
            .filter(|(name, _)| *name != token.name)
            .take(4)
            .map(|(name, share)| format!("{name} {:.1}%", share * 100.0))
            .collect();
        let also = if others.is_empty() { String::new() } else { format!("; also {}", others.join(", ")) };
        let share = token.probability * 100.0;
        Some(format!("token {} of {}  {} {share:.1}%{also}", at + 1, tokens.len(), token.name))
    }

    fn question_note(&self, question: &Question) -> (String, bool) {
        let judged = self.state.checked == Some(Checked::Right);
        let mut notes = vec![];
        if let Some(guess) = question.kept.guess {
            let said = if guess { "right" } else { "wrong" };
            notes.push(match question.is_right().filter(|_| judged) {
                Some(is) if is == guess => format!("you said {said}: so it is"),
                Some(_) => format!("you said {said}: it is not"),
                None => format!("you said {said}"),
            });
        }
        if question.kept.marked {
            notes.push("✗ marked".to_string());
        }
        (notes.join(" · "), judged && question.is_right() == Some(false))
    }

    fn ask_line(&self) -> &'static str {
        match self.stage {
            Stage::Prompt => "Write a prompt, then enter.",
            Stage::Predict { seed } if seed == self.seed => {
                "The same seed again. Will it be the same text, token by token? y or n"
            }
            Stage::Predict { .. } => "Another seed. Will it be the same text? y or n",
            Stage::Running => "",
            Stage::Ready if self.on_question() => {
                let question = &self.questions[self.selected];
                match (question.facts.is_empty(), question.kept.answer.is_some(), self.all_answered()) {
                    (_, true, true) if self.state.checked == Some(Checked::Right) => {
                        "Below the questions (↓) you can write a prompt of your own."
                    }
                    (_, true, true) if self.has_facts() => {
                        "Which answers are wrong? Go to each (↑↓), mark it (x), then check (c)."
                    }
                    (_, true, _) => "Next question: ↓",
                    (false, false, _) => "Will the model's answer be right? y or n asks it.",
                    (true, false, _) => "enter asks the model.",
                }
            }
            Stage::Ready if self.state.last.is_none() => "g lets the model write. Which words will it be sure of?",
            Stage::Ready => "a: the same seed again. n: another seed. Say first what you expect.",
        }
    }

    fn all_answered(&self) -> bool {
        self.questions.iter().all(|q| q.kept.answer.is_some())
    }

    fn label(&self) -> String {
        let whose = if self.params.recorded { "recorded model output" } else { "model output" };
        let how = if self.on_question() || self.params.temperature == 0.0 {
            "temperature 0".to_string()
        } else {
            let form = if self.is_chat() { "as a chat" } else { "raw text" };
            format!("{form}, temperature {}, seed {}", self.params.temperature, self.seed)
        };
        format!("Answer ({whose}, may be wrong; {how})")
    }
}

/// Draws the lab.
pub(super) fn draw(lab: &Generate, area: Rect, buf: &mut Buffer, theme: &Theme) {
    if lab.explain {
        draw_lines(&wrap(WHY, area.width, theme.text), area, buf);
        return;
    }
    let mut rest = if lab.asks() { draw_questions(lab, area, buf, theme) } else { area };
    if !lab.on_question() {
        rest = draw_prompt(lab, rest, buf, theme);
    }
    if area.height > 12 {
        rest = below(rest, 1);
    }
    let mut foot: Vec<Line<'static>> = vec![];
    if let Some(trouble) = &lab.trouble {
        foot.extend(wrap(trouble, area.width, theme.warn));
    }
    if let Some(token) = lab.token_line() {
        foot.extend(wrap(&token, area.width, theme.text));
        foot.extend(wrap(&lab.shown().numbers(), area.width, theme.quiet));
    }
    if lab.stage == Stage::Running && lab.shown().tokens.is_empty() {
        foot.extend(wrap("The model is reading.", area.width, theme.quiet));
    }
    if let Some((text, good)) = &lab.outcome {
        foot.extend(wrap(text, area.width, if *good { theme.good } else { theme.warn }));
    }
    foot.extend(wrap(lab.ask_line(), area.width, theme.strong).into_iter().filter(|l| l.width() > 0));
    let rows = (foot.len() as u16).min(rest.height);
    draw_lines(&foot, Rect { y: rest.y + rest.height - rows, height: rows, ..rest }, buf);
    let body = top(rest, rest.height.saturating_sub(rows + u16::from(rest.height > rows + 4)));
    draw_answer(lab, body, buf, theme);
}

fn draw_answer(lab: &Generate, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let runs = lab.runs(theme);
    if runs.is_empty() || area.height == 0 {
        return;
    }
    let mut rest = area;
    if area.height > 2 {
        let mut head = wrap(&lab.label(), area.width, theme.quiet);
        if area.height > 6 && !lab.shown().tokens.is_empty() {
            head.extend(wrap(LEGEND, area.width, theme.quiet));
        }
        rest = below(rest, draw_lines(&head, rest, buf));
    }
    let lines = flow(&runs, area.width);
    // The newest lines, or those around the token looked at.
    let height = usize::from(rest.height);
    let at = match lab.cursor {
        Some(cursor) => flow(&runs[..=cursor.min(runs.len() - 1)], area.width).len(),
        None => lines.len(),
    };
    let mut skip = at.saturating_sub(height);
    if skip > 0 && height >= 3 {
        skip += 1;
        let above = format!("… {skip} lines above: ← goes back");
        rest = below(rest, draw_lines(&[Line::styled(above, theme.quiet)], rest, buf));
    }
    draw_lines(&lines[skip..], rest, buf);
}

fn draw_prompt(lab: &Generate, area: Rect, buf: &mut Buffer, theme: &Theme) -> Rect {
    let label = if lab.is_chat() { "Chat  " } else { "Raw  " };
    draw_lines(&[Line::styled(label, theme.quiet)], top(area, 1), buf);
    let at = (label.len() as u16).min(area.width);
    let field = Rect { x: area.x + at, width: area.width - at, ..area };
    let focused = lab.stage == Stage::Prompt;
    let (lines, _) = lab.prompt.lines(field.width, theme.strong, focused);
    let rows = (lines.len() as u16).clamp(1, 4);
    lab.prompt.draw(top(field, rows), buf, theme.strong, focused);
    below(area, rows)
}

fn draw_questions(lab: &Generate, area: Rect, buf: &mut Buffer, theme: &Theme) -> Rect {
    let mut lines: Vec<Line<'static>> = vec![];
    for (i, question) in lab.questions.iter().enumerate() {
        let chosen = i == lab.selected;
        // On a small screen only the question at hand is shown in full.
        if area.height < 14 && !chosen {
            continue;
        }
        let done = if question.kept.answer.is_some() { "●" } else { "○" };
        let mark = if chosen { "▸" } else { " " };
        let (note, wrong) = lab.question_note(question);
        let style = if chosen { theme.strong } else { theme.text };
        let indent = area.width.saturating_sub(6);
        for (row, line) in wrap(&question.ask, indent, style).into_iter().enumerate() {
            let head = if row == 0 { format!("{mark} {done} ") } else { "    ".to_string() };
            let mut spans = vec![Span::styled(head, if chosen { theme.accent } else { theme.quiet })];
            spans.extend(line.spans);
            lines.push(Line::from(spans));
        }
        if !note.is_empty() {
            let style = if wrong { theme.warn } else { theme.quiet };
            let room = usize::from(area.width).saturating_sub(note.width() + 3);
            match lines.last_mut().filter(|line| line.width() <= room) {
                Some(line) => line.push_span(Span::styled(format!("   {note}"), style)),
                None => lines.push(Line::from(vec![Span::raw("    "), Span::styled(note, style)])),
            }
        }
    }
    if area.height >= 14 || !lab.on_question() {
        let (mark, style) = if lab.on_question() { (" ", theme.text) } else { ("▸", theme.strong) };
        let head = Span::styled(format!("{mark}   "), theme.accent);
        lines.push(Line::from(vec![head, Span::styled("your own prompt", style)]));
    }
    below(area, draw_lines(&lines, top(area, area.height / 2), buf))
}

/// The same as lines.
pub(super) fn plain(lab: &Generate) -> Vec<String> {
    let mut lines = vec![];
    if lab.asks() {
        for (i, question) in lab.questions.iter().enumerate() {
            let here = if i == lab.selected { " (here)" } else { "" };
            lines.push(format!("Question {}{here}: {}", i + 1, question.ask));
            let (note, _) = lab.question_note(question);
            lines.extend((!note.is_empty()).then_some(note));
        }
    }
    if !lab.on_question() {
        let form = if lab.is_chat() { "as a chat" } else { "raw text" };
        lines.push(format!("Prompt ({form}): {}", lab.prompt.text()));
    }
    if lab.explain {
        lines.push(WHY.to_string());
    }
    let theme = Theme::new(crate::theme::Palette::Monochrome);
    let answer: String = lab.runs(&theme).into_iter().map(|r| r.0).collect();
    if !answer.is_empty() {
        lines.push(lab.label());
        lines.push(answer);
    }
    lines.extend(lab.shown().tokens.iter().map(|t| format!("{} {:.1}%", t.name, t.probability * 100.0)));
    lines.extend((!lab.shown().tokens.is_empty()).then(|| lab.shown().numbers()));
    lines.extend(lab.trouble.clone());
    lines.extend(lab.outcome.as_ref().map(|o| o.0.clone()));
    lines.push(lab.ask_line().to_string());
    lines.retain(|line| !line.is_empty());
    lines.into_iter().map(|line| SafeText::new(line).into_string()).collect()
}
