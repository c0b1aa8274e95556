//! What the chat shows, and the conversation as markdown.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{ChatScreen, Focus, Run, Setting};
use crate::engine::Role;
use crate::labs::widgets::{count, draw_lines, thousands};
use crate::ui::prose::Piece;
use crate::ui::screen::lines::{Lines, column};
use crate::ui::screen::{ModelState, Shared, file_name};

/// Reading width.
const WIDTH: u16 = 76;

/// Tokens the open model reads at most.
pub(super) fn limit(shared: &Shared) -> Option<usize> {
    match &shared.model {
        ModelState::Ready(info) => Some(info.max_position_embeddings),
        _ => None,
    }
}

/// The conversation as lines.
pub(super) fn conversation(chat: &ChatScreen, shared: &Shared) -> Lines {
    let theme = &shared.theme;
    let width = column(Rect::new(0, 0, chat.size.0, 1), WIDTH).width;
    let mut lines = Lines::new(width);
    if chat.turns.is_empty() {
        lines.text("Ask something. The model runs on this machine; nothing you write leaves it.", theme.text);
        lines.text("It is a small model: it answers fluently and is often wrong. Check what matters.", theme.quiet);
    }
    for (at, turn) in chat.turns.iter().enumerate() {
        if at == chat.first && at > 0 {
            lines.text("── the turns above are no longer sent to the model ──", theme.quiet);
            lines.blank();
        }
        let sent = at >= chat.first;
        let style = if sent { theme.text } else { theme.quiet };
        match turn.role {
            Role::Assistant => {
                lines.text("Model (may be wrong)", theme.heading);
                lines.text(&turn.text, style);
                if let Some(note) = &turn.note {
                    lines.text(note, theme.quiet);
                }
            }
            _ => {
                lines.text("You", theme.strong);
                lines.text(&turn.text, style);
            }
        }
        if at + 1 < chat.turns.len() {
            lines.blank();
        }
    }
    lines
}

/// Draws conversation, settings, message and status.
pub(super) fn draw(chat: &ChatScreen, area: Rect, buf: &mut Buffer, shared: &Shared) {
    let theme = &shared.theme;
    let area = column(area, WIDTH);
    let mut rest = area;
    let mut status = Lines::new(area.width);
    notices(chat, &mut status, shared);
    let (left, right) = status_line(chat, shared);
    status.both(&left, theme.quiet, &right, theme.quiet);
    rest.height -= status.draw_at_foot(rest, buf).min(rest.height);

    rest = draw_input(chat, rest, buf, shared);
    if chat.focus != Focus::Message {
        rest = draw_settings(chat, rest, buf, shared);
    }
    let height = usize::from(rest.height.saturating_sub(1));
    let rest = Rect { height: height as u16, ..rest };
    let bottom = chat.lines.len().saturating_sub(chat.up);
    chat.lines.draw(rest, buf, bottom.saturating_sub(height));
}

fn notices(chat: &ChatScreen, lines: &mut Lines, shared: &Shared) {
    let theme = &shared.theme;
    if let Some(trouble) = &chat.trouble {
        lines.text(trouble, theme.warn);
    }
    if let ModelState::Missing(why) = &shared.model
        && chat.trouble.is_none()
    {
        lines.text(why, theme.warn);
    }
    if let (Some((prompt, limit)), Some(step)) = (chat.overflow, chat.can_drop()) {
        let text = format!(
            "The conversation is {} tokens, and the model reads {}. enter leaves out the oldest {} and asks again; \
             what is left out stays on the page, but the model will not know of it. esc changes the message.",
            thousands(prompt),
            thousands(limit),
            if step == 1 { "turn".to_string() } else { format!("{step} turns") },
        );
        lines.text(&text, theme.warn);
    }
    if chat.clearing {
        lines.text("ctrl-n again forgets this conversation; ctrl-s saves it first.", theme.warn);
    }
}

fn status_line(chat: &ChatScreen, shared: &Shared) -> (String, String) {
    let left = match chat.run {
        Run::Idle => String::new(),
        Run::Loading if matches!(shared.model, ModelState::Ready(_)) => "the model reads · esc stops".into(),
        Run::Loading => "loading the model · esc stops".into(),
        Run::Reading(done, total) => {
            format!("read {} of {} tokens · esc stops", thousands(done), thousands(total))
        }
        Run::Speaking(tokens) => format!("{} so far · esc stops", count(tokens, "token")),
    };
    let right = match (chat.used, limit(shared)) {
        (0, None) => String::new(),
        (used, None) => format!("context {} tokens", thousands(used)),
        (used, Some(limit)) => format!("context {} of {} tokens", thousands(used), thousands(limit)),
    };
    (left, right)
}

fn draw_input(chat: &ChatScreen, area: Rect, buf: &mut Buffer, shared: &Shared) -> Rect {
    let theme = &shared.theme;
    let head = "You ▸ ";
    let indent = 6.min(area.width);
    let field = Rect { x: area.x + indent, width: area.width - indent, ..area };
    let focused = chat.focus == Focus::Message;
    let (lines, _) = chat.message.lines(field.width, theme.text, focused);
    let rows = (lines.len() as u16).clamp(1, 5).min(area.height);
    let place = Rect { y: area.y + area.height - rows, height: rows, ..area };
    let style = if focused { theme.accent } else { theme.quiet };
    draw_lines(&[ratatui::text::Line::styled(head, style)], place, buf);
    let place = Rect { y: place.y, height: rows, ..field };
    chat.message.draw(place, buf, theme.text, focused);
    Rect { height: area.height - rows, ..area }
}

fn draw_settings(chat: &ChatScreen, area: Rect, buf: &mut Buffer, shared: &Shared) -> Rect {
    let theme = &shared.theme;
    let mut lines = Lines::new(area.width);
    let mut pieces = vec![];
    for setting in Setting::ALL {
        let (name, value) = chat.settings.shown(setting);
        let here = chat.focus == Focus::Settings(setting);
        let (mark, style): (&str, Style) = if here { ("▸", theme.accent) } else { (" ", theme.text) };
        pieces.push(Piece { solid: true, ..Piece::new(format!("{mark}{name} {value}"), style) });
        pieces.push(Piece::new("  ", theme.text));
    }
    lines.pieces(&Piece::new("", theme.text), pieces);
    let rows = lines.len() as u16;
    let head = "System ▸ ";
    let indent = 9.min(area.width);
    let focused = chat.focus == Focus::System;
    let width = area.width - indent;
    let (system, _) = chat.system.lines(width, theme.text, focused);
    let system_rows = (system.len() as u16).clamp(1, 4);
    let all = (rows + system_rows + 1).min(area.height);
    let place = Rect { y: area.y + area.height - all, height: all, ..area };
    lines.draw(place, buf, 0);
    let row = Rect { y: place.y + rows.min(all), height: system_rows.min(all.saturating_sub(rows)), ..place };
    let style = if focused { theme.accent } else { theme.quiet };
    draw_lines(&[ratatui::text::Line::styled(head, style)], row, buf);
    chat.system.draw(Rect { x: row.x + indent, width, ..row }, buf, theme.text, focused);
    Rect { height: area.height - all, ..area }
}

/// The conversation as a file.
pub(super) fn markdown(chat: &ChatScreen, shared: &Shared) -> String {
    let model = match &shared.model {
        ModelState::Ready(info) => file_name(info),
        ModelState::Found(name) => name.clone(),
        ModelState::Missing(_) => "no model".into(),
    };
    let settings: Vec<String> = Setting::ALL
        .iter()
        .map(|s| {
            let (name, value) = chat.settings.shown(*s);
            format!("{name} {value}")
        })
        .collect();
    let mut out = format!("# Chat with {model}\n\nModel output may be wrong. Settings: {}.\n", settings.join(", "));
    if !chat.system.text().trim().is_empty() {
        out.push_str(&format!("\n**System:** {}\n", chat.system.text().trim()));
    }
    for (at, turn) in chat.turns.iter().enumerate() {
        if at == chat.first && at > 0 {
            out.push_str("\n*The turns above were no longer sent to the model.*\n");
        }
        let who = if turn.role == Role::Assistant { "Model" } else { "You" };
        out.push_str(&format!("\n**{who}:**\n\n{}\n", turn.text.trim_end()));
        if let Some(note) = &turn.note {
            out.push_str(&format!("\n*{note}*\n"));
        }
    }
    out
}
