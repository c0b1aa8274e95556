//! How the lab `next-token` looks, drawn and as plain lines.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::draws::DRAWS;
use super::settings::{Settings, Slider, TEMPERATURES, TOP_KS};
use super::{NextToken, Stage, Survivors};
use crate::engine::TextToken;
use crate::labs::widgets::{bar, below, count, draw_lines, fit, quoted, thousands, top, wrap};
use crate::text::SafeText;
use crate::theme::Theme;

const WHY: &str = "The model gives each token of its vocabulary a score, the logit. Softmax turns the scores into \
probabilities. Temperature divides the logits before that: below 1 the gaps grow and the likeliest gains, above 1 \
they shrink and the tail gains; at 0 only the likeliest is left. The filters then cut, in this order: top-k keeps the \
k likeliest; top-p keeps the likeliest until their sum reaches p, so it keeps few where the model is sure and many \
where it doubts; min-p drops what is less likely than that share of the likeliest. What survives is scaled up to \
100% again, and a random number picks. The seed fixes the random numbers, not the probabilities. After 200 draws the \
counts are near the probabilities but rarely equal; the chi-square number measures the distance, and only one time in \
a hundred does chance alone carry it over the bound.";

/// One row of the table.
struct Row {
    rank: String,
    token: String,
    share: f64,
    status: String,
    kept: bool,
}

impl NextToken {
    fn token(&self, id: u32) -> Option<&TextToken> {
        self.next.as_ref()?.top.iter().map(|t| &t.0).find(|t| t.id == id)
    }

    /// Which filter cut the token at a rank (from 0).
    fn cut_by(&self, rank: usize) -> &'static str {
        match self.shown_settings() {
            s if s.temperature == 0 => "cut: temperature 0",
            s if s.top_k.is_some_and(|k| rank >= k) => "cut by top-k",
            _ if rank >= self.outlook.before_min_p => "cut by top-p",
            _ => "cut by min-p",
        }
    }

    /// The settings of which the bars are drawn.
    fn shown_settings(&self) -> Settings {
        if matches!(self.stage, Stage::Plan | Stage::Count) { self.before } else { self.settings }
    }

    fn rows(&self, most: usize) -> Vec<Row> {
        let all = &self.outlook.all;
        let planning = matches!(self.stage, Stage::Plan | Stage::Count);
        let kept_mass: f64 = all.iter().take_while(|c| c.2).map(|c| f64::from(c.1)).sum();
        let shown = most.min(all.len());
        let mut rows = vec![];
        let mut sum = 0.0;
        for (rank, &(id, share, kept)) in all.iter().take(shown).enumerate() {
            let share = f64::from(share);
            sum += share;
            let status = match &self.draws {
                _ if planning => format!("sum {:.1}%", sum * 100.0),
                Some(draws) if kept => {
                    let drawn = draws.counts.iter().find(|c| c.0 == id).map_or(0, |c| c.1);
                    format!("{drawn}×, {:.1} expected", share / kept_mass * DRAWS as f64)
                }
                // After the cut the survivors share 100% again.
                None if kept && kept_mass < 0.999 => format!("kept, now {:.1}%", share / kept_mass * 100.0),
                None if kept => "kept".to_string(),
                _ => self.cut_by(rank).to_string(),
            };
            let token = self.token(id).map_or_else(|| format!("token {id}"), quoted);
            rows.push(Row { rank: (rank + 1).to_string(), token, share, status, kept });
        }
        if shown < all.len() {
            let rest: f64 = all[shown..].iter().map(|c| f64::from(c.1)).sum();
            let kept = self.outlook.survivors.saturating_sub(shown);
            let status = match &self.draws {
                _ if planning => "sum 100.0%".to_string(),
                Some(draws) if kept > 0 => {
                    let named = draws.counts.iter().skip(shown).map(|c| c.1).sum::<u32>();
                    format!("{}× in all", named + draws.others)
                }
                _ if kept == all.len() - shown => "kept".to_string(),
                _ if kept > 0 => format!("{} kept", thousands(kept)),
                _ => self.cut_by(shown).to_string(),
            };
            let token = format!("{} more", thousands(all.len() - shown));
            rows.push(Row { rank: String::new(), token, share: rest, status, kept: kept > 0 });
        }
        rows
    }

    /// What was said and what it is.
    fn share_verdict(&self) -> Option<(String, bool)> {
        let share = self.state.share.as_ref()?;
        let word = share.word.as_ref().map_or(String::new(), |w| format!("\"{w}\" at "));
        let said = format!("You said {word}about {}%", share.said);
        let Some((is, winner)) = &share.is else { return Some((format!("{said}; the model is at work."), true)) };
        let off = (share.said - is).abs();
        let close = off <= 10.0;
        let mut text = format!("{said}; it is \"{winner}\" at {is:.1}%: you were {off:.0} off.");
        if share.stale && self.state.predict_share.is_none() {
            text.push_str(" You had seen these bars, so it does not count: e takes another prompt.");
        } else if !close && self.state.predict_share.is_none() {
            text.push_str(" Within 10 counts: e takes another prompt.");
        }
        Some((text, close))
    }

    /// The line about the last act: survivors predicted, samples drawn, or how many survive now.
    fn outcome(&self) -> Option<(String, bool)> {
        if self.outlook.all.is_empty() {
            return None;
        }
        if let Some(draws) = &self.draws {
            let text = match draws.cells {
                0 | 1 => format!(
                    "{DRAWS} draws, seed {}: there is only one outcome to expect; let two or more tokens survive.",
                    draws.seed
                ),
                cells => format!(
                    "{DRAWS} draws, seed {}: chi-square {:.1} over {cells} cells, bound {:.1}: {}",
                    draws.seed,
                    draws.chi_square,
                    draws.bound,
                    if draws.agrees() {
                        "the draws agree with the bars."
                    } else {
                        "further off than chance explains; s draws anew."
                    }
                ),
            };
            return Some((text, draws.agrees()));
        }
        if let Some(Survivors { said, is, excuse }) = &self.state.survivors {
            let off = said.abs_diff(*is);
            let how = if off == 0 { "exactly.".to_string() } else { format!("{off} off.") };
            let mut text = format!("You said {said} would survive; it is {}: {how}", thousands(*is));
            if let Some(excuse) = excuse.as_ref().filter(|_| self.state.predict_survivors.is_none()) {
                text = format!("{text} {excuse}");
            }
            return Some((text, off == 0));
        }
        let survivors = self.outlook.survivors;
        let verb = if survivors == 1 { "survives" } else { "survive" };
        let mut text = format!("{} {verb}.", count(survivors, "token"));
        if survivors == 2 && self.only_top_k() && self.state.two_survive.is_none() {
            text.push_str(" Top-k alone did that: let top-p, min-p or temperature do it.");
        }
        Some((text, true))
    }

    /// Name, value and place (0 to 1) of a setting.
    fn slider(&self, slider: Slider) -> (&'static str, String, f64) {
        let s = self.settings;
        match slider {
            Slider::Temperature => (
                "temperature",
                format!("{:.2}", f64::from(s.temperature) / 20.0),
                f64::from(s.temperature) / f64::from(*TEMPERATURES.end()),
            ),
            Slider::TopK => {
                let at = |k: usize| TOP_KS.iter().filter(|step| **step < k).count() as f64;
                let place = s.top_k.map_or(1.0, |k| at(k) / TOP_KS.len() as f64);
                ("top-k", s.top_k.map_or("off".into(), thousands), place)
            }
            Slider::TopP => {
                let value = s.top_p.map_or("off".into(), |p| format!("{:.2}", f64::from(p) / 100.0));
                ("top-p", value, f64::from(s.top_p.unwrap_or(100)) / 100.0)
            }
            Slider::MinP => {
                let value = s.min_p.map_or("off".into(), |p| format!("{:.2}", f64::from(p) / 100.0));
                ("min-p", value, f64::from(s.min_p.unwrap_or(0)) / 100.0)
            }
        }
    }

    fn slider_spans(&self, slider: Slider, theme: &Theme) -> Vec<Span<'static>> {
        const TRACK: usize = 11;
        let (name, value, place) = self.slider(slider);
        let chosen = slider == self.slider && matches!(self.stage, Stage::Live | Stage::Plan);
        let knob = (place * (TRACK - 1) as f64).round() as usize;
        let track: String = (0..TRACK).map(|i| if i == knob { '●' } else { '─' }).collect();
        let style = if chosen { theme.accent } else { theme.text };
        vec![
            Span::styled(if chosen { "▸ " } else { "  " }, style),
            Span::styled(format!("{name:<11} {value:>5} "), if chosen { theme.strong } else { theme.text }),
            Span::styled(format!("◂{track}▸"), style),
        ]
    }
}

impl NextToken {
    /// The slider at hand, and the values of the others.
    fn narrow_sliders(&self, width: u16, theme: &Theme) -> Vec<Line<'static>> {
        let others = Slider::ALL.into_iter().filter(|s| *s != self.slider).map(|s| {
            let (name, value, _) = self.slider(s);
            format!("{name} {value}")
        });
        let others = others.collect::<Vec<_>>().join(" · ");
        let mut lines = vec![Line::from(self.slider_spans(self.slider, theme))];
        lines.extend(wrap(&others, width, theme.quiet));
        lines
    }
}

/// Draws the lab.
pub(super) fn draw(lab: &NextToken, area: Rect, buf: &mut Buffer, theme: &Theme) {
    if lab.explain {
        draw_lines(&wrap(WHY, area.width, theme.text), area, buf);
        return;
    }
    let mut rest = draw_prompt(lab, area, buf, theme);
    if let Some(trouble) = &lab.trouble {
        rest = below(rest, draw_lines(&wrap(trouble, area.width, theme.warn), rest, buf));
    }
    match lab.stage {
        Stage::Prompt => {
            let hint = "Write a prompt that stops in the middle, then enter. A space at its end is a token of its own.";
            draw_lines(&wrap(hint, area.width, theme.quiet), rest, buf);
        }
        Stage::Share => draw_question(
            lab,
            "Which token comes next, and how likely is it, in percent?",
            "A number, with the word before it if you like: Paris 50. Then enter.",
            rest,
            buf,
            theme,
        ),
        Stage::Count => {
            let rows = rest.height.min(5);
            draw_question(
                lab,
                "How many tokens will survive these settings?",
                "A number, then enter.",
                top(rest, rows),
                buf,
                theme,
            );
            draw_bench(lab, below(rest, rows), buf, theme);
        }
        Stage::Plan => {
            let note =
                "Plan: turn the settings; the bars stay as they were. Then enter, and say how many will survive.";
            rest = below(rest, draw_lines(&wrap(note, area.width, theme.strong), rest, buf));
            draw_bench(lab, rest, buf, theme);
        }
        Stage::Live => {
            // The verdict is read once; then the room belongs to the bars.
            let moved_on = lab.shown.len() > 1 || lab.draws.is_some();
            if let Some((text, close)) = lab.share_verdict().filter(|_| !moved_on) {
                let style = if close { theme.good } else { theme.warn };
                rest = below(rest, draw_lines(&wrap(&text, area.width, style), rest, buf));
            }
            draw_bench(lab, rest, buf, theme);
        }
    }
}

fn draw_prompt(lab: &NextToken, area: Rect, buf: &mut Buffer, theme: &Theme) -> Rect {
    let label = "Prompt  ";
    draw_lines(&[Line::styled(label, theme.quiet)], top(area, 1), buf);
    let at = (label.len() as u16).min(area.width);
    let field = Rect { x: area.x + at, width: area.width - at, ..area };
    let (lines, _) = lab.prompt.lines(field.width, theme.strong, lab.stage == Stage::Prompt);
    let rows = (lines.len() as u16).clamp(1, 3);
    lab.prompt.draw(top(field, rows), buf, theme.strong, lab.stage == Stage::Prompt);
    below(area, if area.height > 12 { rows + 1 } else { rows })
}

fn draw_question(lab: &NextToken, ask: &str, hint: &str, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let used = draw_lines(&wrap(ask, area.width, theme.strong), area, buf);
    let row = top(below(area, used), 1);
    let label = "Your prediction  ";
    draw_lines(&[Line::styled(label, theme.quiet)], row, buf);
    let at = (label.len() as u16).min(row.width);
    lab.typed.draw(Rect { x: row.x + at, width: row.width - at, ..row }, buf, theme.text, true);
    draw_lines(&wrap(hint, area.width, theme.quiet), below(area, used + 1 + u16::from(area.height > 8)), buf);
}

/// Bars above, outcome and settings below.
fn draw_bench(lab: &NextToken, area: Rect, buf: &mut Buffer, theme: &Theme) {
    let mut foot: Vec<Line<'static>> = vec![];
    if lab.stage == Stage::Live
        && let Some((text, good)) = lab.outcome()
    {
        let acted = lab.draws.is_some() || lab.state.survivors.is_some();
        let style = match (acted, good) {
            (false, _) => theme.strong,
            (true, true) => theme.good,
            (true, false) => theme.warn,
        };
        foot.extend(wrap(&text, area.width, style));
    }
    if area.width < 68 {
        foot.extend(lab.narrow_sliders(area.width, theme));
    }
    for pair in Slider::ALL.chunks(2).filter(|_| area.width >= 68) {
        let mut spans = vec![];
        for slider in pair {
            let part = lab.slider_spans(*slider, theme);
            let width: usize = part.iter().map(|s| s.content.width()).sum();
            spans.extend(part);
            spans.push(Span::raw(" ".repeat(36_usize.saturating_sub(width))));
        }
        foot.push(Line::from(spans));
    }
    let foot_rows = (foot.len() as u16).min(area.height);
    let bars = top(area, area.height.saturating_sub(foot_rows + u16::from(area.height > foot_rows + 6)));
    if lab.outlook.all.is_empty() {
        let waiting = if lab.trouble.is_some() { "" } else { "The model is reading the prompt." };
        draw_lines(&wrap(waiting, area.width, theme.quiet), bars, buf);
    } else {
        draw_bars(lab, bars, buf, theme);
    }
    draw_lines(&foot, Rect { y: area.y + area.height - foot_rows, height: foot_rows, ..area }, buf);
}

fn draw_bars(lab: &NextToken, area: Rect, buf: &mut Buffer, theme: &Theme) {
    if area.height == 0 {
        return;
    }
    let status = if area.width >= 60 { 22 } else { 13 };
    let token = if area.width >= 60 { 16 } else { 11 };
    let fixed = 4 + token + 1 + 8 + status;
    let room = usize::from(area.width).saturating_sub(fixed);
    let lines: Vec<Line<'static>> = lab
        .rows(usize::from(area.height) - 1)
        .into_iter()
        .map(|row| {
            let style: Style = if row.kept { theme.text } else { theme.quiet };
            let full = if row.kept { theme.accent } else { theme.quiet };
            let (rank, name) = if row.rank.is_empty() {
                (String::new(), row.token)
            } else {
                (format!("{:>3} ", row.rank), SafeText::line(row.token).into_string())
            };
            // The tail is many tokens together: a bar of its sum would look like one likely token.
            let drawn = if rank.is_empty() { String::new() } else { bar(row.share, room) };
            Line::from(vec![
                Span::styled(fit(&rank, 4), theme.quiet),
                Span::styled(fit(&name, token), style),
                Span::raw(" "),
                Span::styled(fit(&drawn, room), full),
                Span::styled(format!("{:>6.1}% ", row.share * 100.0), style),
                Span::styled(fit(&row.status, status), style),
            ])
        })
        .collect();
    draw_lines(&lines, area, buf);
}

/// The same as lines.
pub(super) fn plain(lab: &NextToken) -> Vec<String> {
    let mut lines = vec![format!("Prompt: {}", SafeText::new(lab.prompt.text()))];
    if lab.explain {
        lines.push(WHY.to_string());
    }
    lines.extend(lab.trouble.clone());
    match lab.stage {
        Stage::Prompt => lines.push("You are editing the prompt.".into()),
        Stage::Share => {
            lines.push(format!("Which token comes next, and how likely is it? Typed: {}", lab.typed.text()))
        }
        Stage::Count => lines.push(format!("How many tokens will survive? Typed: {}", lab.typed.text())),
        Stage::Plan => lines.push("Plan: the bars stay as they were until you have said how many will survive.".into()),
        Stage::Live => {
            lines.extend(lab.share_verdict().map(|v| v.0));
            lines.extend(lab.outcome().map(|o| o.0));
        }
    }
    for slider in Slider::ALL {
        let (name, value, _) = lab.slider(slider);
        lines.push(format!("{name} {value}"));
    }
    if lab.stage != Stage::Share && lab.stage != Stage::Prompt {
        for row in lab.rows(20) {
            let text = format!("{} {} {:.1}% {}", row.rank, row.token, row.share * 100.0, row.status);
            lines.push(text.trim_start().to_string());
        }
    }
    lines.into_iter().map(|line| SafeText::new(line).into_string()).collect()
}
