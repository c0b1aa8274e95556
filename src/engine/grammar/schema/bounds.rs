//! Numbers as a schema bounds them: `minimum`, `maximum` and their exclusive forms.

use super::super::{Expr, GrammarError};
use super::json::Json;
use super::{literal, number, optional, pointer, refuse};

/// Any number that JSON can write.
pub fn any_number() -> Expr {
    let digits = |min, max| Expr::Repeat { of: Box::new(Expr::Class(vec![('0', '9')])), min, max: Some(max) };
    let sign = optional(Expr::Class(vec![('+', '+'), ('-', '-')]));
    let whole = number::integers(0, number::LARGEST).unwrap_or(literal("0"));
    let power = Expr::Sequence(vec![Expr::Class(vec![('E', 'E'), ('e', 'e')]), sign, digits(1, 2)]);
    Expr::Sequence(vec![optional(literal("-")), whole, number::fraction(), optional(power)])
}

/// A number within the bounds of `schema`, which stands at `path`.
pub fn number_in(schema: &Json, path: &str, is_integer: bool) -> Result<Expr, GrammarError> {
    let bound = |name: &str| match schema.get(name) {
        None => Ok(None),
        Some(Json::Number(number)) => Ok(number.as_f64()),
        Some(other) => refuse(&pointer(path, name), format_args!("a number must stand here, not {}", other.kind())),
    };
    let (min, above) = (bound("minimum")?, bound("exclusiveMinimum")?);
    let (max, below) = (bound("maximum")?, bound("exclusiveMaximum")?);
    if [min, above, max, below] == [None; 4] {
        return Ok(if is_integer {
            number::integers(-number::LARGEST, number::LARGEST).unwrap_or(literal("0"))
        } else {
            any_number()
        });
    }
    let limit = number::LARGEST as f64;
    // The sharper of the two bounds on a side, and whether it does not belong to the range.
    let low = match (min, above) {
        (Some(min), Some(above)) if above >= min => (above, true),
        (None, Some(above)) => (above, true),
        (min, _) => (min.unwrap_or(-limit), false),
    };
    let high = match (max, below) {
        (Some(max), Some(below)) if below <= max => (below, true),
        (None, Some(below)) => (below, true),
        (max, _) => (max.unwrap_or(limit), false),
    };
    let (low, high) = ((low.0.max(-limit), low.1), (high.0.min(limit), high.1));
    let expr = if is_integer {
        let first = low.0.ceil() as i64 + i64::from(low.1 && low.0.fract() == 0.0);
        let last = high.0.floor() as i64 - i64::from(high.1 && high.0.fract() == 0.0);
        number::integers(first, last)
    } else if low.0.fract() != 0.0 || high.0.fract() != 0.0 {
        return refuse(path, "bounds with a fraction are not supported for `number`; use whole ones");
    } else if low.0 > high.0 {
        None
    } else {
        number::decimals(low.0 as i64, high.0 as i64, (low.1, high.1))
    };
    match expr {
        Some(expr) => Ok(expr),
        None => refuse(path, "no number is within these bounds"),
    }
}
