//! Values of flags: from text, with a rule in words for those that do not fit.

use jiff::ZonedDateTime;
use jiff::civil::{Date, time};
use jiff::tz::TimeZone;

use crate::engine::BiasToken;
use crate::engine::quantize::Recipe;

/// A number in a range; `rule` says what it may be.
fn number<T: std::str::FromStr>(text: &str, fits: impl Fn(&T) -> bool, rule: &str) -> Result<T, String> {
    text.parse().ok().filter(fits).ok_or_else(|| rule.to_owned())
}

pub fn temperature(text: &str) -> Result<f32, String> {
    number(text, |t| (0.0..=10.0).contains(t), "the temperature is 0 (always the likeliest token) to 10")
}

pub fn top_p(text: &str) -> Result<f32, String> {
    number(text, |p| *p > 0.0 && *p <= 1.0, "top-p is above 0 and at most 1 (which keeps all)")
}

pub fn min_p(text: &str) -> Result<f32, String> {
    number(text, |p| (0.0..=1.0).contains(p), "min-p is 0 (which keeps all) to 1")
}

pub fn repetition_penalty(text: &str) -> Result<f32, String> {
    number(text, |p| (0.1..=10.0).contains(p), "the repetition penalty is 0.1 to 10; 1 changes nothing")
}

pub fn recipe(text: &str) -> Result<Recipe, String> {
    Recipe::named(text).ok_or_else(|| format!("it is one of {}", Recipe::names()))
}

pub fn typical_p(text: &str) -> Result<f32, String> {
    number(text, |p| *p > 0.0 && *p <= 1.0, "typical-p is above 0 and at most 1 (which keeps all)")
}

pub fn penalty(text: &str) -> Result<f32, String> {
    number(text, |p| (-2.0..=2.0).contains(p), "the penalty is -2 to 2; 0 changes nothing")
}

pub fn watts(text: &str) -> Result<f32, String> {
    number(text, |w| *w > 0.0 && *w <= 1_000.0, "the watts are above 0 and at most 1000")
}

pub fn positive(text: &str) -> Result<f32, String> {
    number(text, |x: &f32| x.is_finite() && *x > 0.0, "it is a number above 0")
}

pub fn share(text: &str) -> Result<f32, String> {
    number(text, |p| (0.0..1.0).contains(p), "it is a share from 0 to below 1")
}

pub fn logprobs(text: &str) -> Result<usize, String> {
    number(text, |n| *n <= 256, "it is a whole number from 0 to 256")
}

pub fn keep(text: &str) -> Result<usize, String> {
    number(text, |_| true, "it is a whole number of tokens")
}

/// `TOKEN=BIAS`; the token may hold an equals sign itself, and quotes make a number a text.
pub fn logit_bias(text: &str) -> Result<(BiasToken, f32), String> {
    let (token, bias) = text.rsplit_once('=').ok_or("write TOKEN=BIAS, for example 7042=-100")?;
    let bias = number(bias, |b| (-100.0..=100.0).contains(b), "the bias after `=` is -100 to 100")?;
    let quoted = token.strip_prefix('"').and_then(|token| token.strip_suffix('"'));
    let token = match (quoted, token.parse()) {
        (Some(text), _) => BiasToken::Text(text.into()),
        (None, Ok(id)) => BiasToken::Id(id),
        (None, Err(_)) => BiasToken::Text(token.into()),
    };
    Ok((token, bias))
}

pub fn count(text: &str) -> Result<usize, String> {
    number(text, |n| (1..=1_000_000).contains(n), "it is a whole number from 1 to 1000000")
}

pub fn model_name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '+');
    let fits = (1..=100).contains(&text.len()) && text.chars().all(is_plain) && !text.starts_with(['.', '-']);
    if fits { Ok(text.to_owned()) } else { Err("a name is letters, digits and . - _ @ +, 100 at most".to_owned()) }
}

pub fn tokens(text: &str) -> Result<u64, String> {
    number(text, |n| (1..=1 << 30).contains(n), "it is a whole number from 1 to 1073741824")
}

pub fn threads(text: &str) -> Result<usize, String> {
    number(text, |n| (1..=1024).contains(n), "it is a whole number from 1 to 1024")
}

pub fn moment(text: &str) -> Result<ZonedDateTime, String> {
    let zone = TimeZone::system();
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Ok(timestamp.to_zoned_datetime(zone));
    }
    let at_noon =
        text.parse::<Date>().ok().and_then(|day| day.to_datetime(time(12, 0, 0, 0)).to_zoned_datetime(zone).ok());
    at_noon.ok_or_else(|| "a moment is written 2026-11-24 or 2026-11-24T09:00:00Z".to_owned())
}
