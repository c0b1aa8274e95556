//! Numbers in a range, digit by digit.

use super::super::Expr;

/// The largest whole number that is written where a schema sets no bound: doubles hold it exactly.
pub const LARGEST: i64 = 999_999_999_999_999;

fn literal(text: impl Into<String>) -> Expr {
    Expr::Literal(text.into())
}

fn digits(from: u8, to: u8) -> Expr {
    Expr::Class(vec![(char::from(b'0' + from), char::from(b'0' + to))])
}

fn times(of: Expr, min: u32, max: u32) -> Expr {
    Expr::Repeat { of: Box::new(of), min, max: Some(max) }
}

/// Whole numbers in `min..=max`, as JSON writes them (no `-0`, no leading zero); `None` if there are none.
pub fn integers(min: i64, max: i64) -> Option<Expr> {
    let mut ways = Vec::new();
    if min < 0 {
        let most = min.unsigned_abs();
        let least = if max < 0 { max.unsigned_abs() } else { 1 };
        if least <= most {
            ways.push(Expr::Sequence(vec![literal("-"), naturals(least, most)]));
        }
    }
    if max >= 0 && min <= max {
        ways.push(naturals(min.max(0) as u64, max as u64));
    }
    (!ways.is_empty()).then_some(Expr::Choice(ways))
}

/// Numbers in `min..=max` with or without a fraction; `open` says which bounds do not belong to it.
pub fn decimals(min: i64, max: i64, open: (bool, bool)) -> Option<Expr> {
    let mut ways = Vec::new();
    // The part between two whole numbers next to each other, and the whole numbers themselves.
    let spans = |from: i64, to: i64, ways: &mut Vec<Expr>, sign: &str, open: (bool, bool)| {
        if from > to {
            return;
        }
        if !open.0 {
            ways.push(Expr::Sequence(vec![literal(sign), naturals(from as u64, from as u64), zeros()]));
        }
        if from < to {
            if !open.1 {
                ways.push(Expr::Sequence(vec![literal(sign), naturals(to as u64, to as u64), zeros()]));
            }
            ways.push(Expr::Sequence(vec![literal(sign), naturals(from as u64, from as u64), above_zero()]));
        }
        if from + 1 < to {
            let (low, high) = (from as u64 + 1, to as u64 - 1);
            ways.push(Expr::Sequence(vec![literal(sign), naturals(low, high), fraction()]));
        }
    };
    if min < 0 {
        let (near, near_open) = if max < 0 { (-max, open.1) } else { (0, true) };
        let near_open = near_open || (near == -min && open.0);
        spans(near, -min, &mut ways, "-", (near_open, open.0));
    }
    if max >= 0 {
        let (near, near_open) = if min >= 0 { (min, open.0) } else { (0, false) };
        // 0 alone, where the upper bound is 0.
        let near_open = near_open || (near == max && open.1);
        spans(near, max, &mut ways, "", (near_open, open.1));
    }
    (!ways.is_empty()).then_some(Expr::Choice(ways))
}

/// `.0`, or nothing.
fn zeros() -> Expr {
    times(Expr::Sequence(vec![literal("."), times(literal("0"), 1, 3)]), 0, 1)
}

/// Up to 15 digits after a point, or nothing.
pub fn fraction() -> Expr {
    times(Expr::Sequence(vec![literal("."), times(digits(0, 9), 1, 15)]), 0, 1)
}

/// A fraction that is not zero.
fn above_zero() -> Expr {
    Expr::Sequence(vec![literal("."), times(literal("0"), 0, 14), digits(1, 9), times(digits(0, 9), 0, 14)])
}

/// Numbers without a sign in `from..=to`.
fn naturals(from: u64, to: u64) -> Expr {
    let (mut from, mut ways) = (from, Vec::new());
    // Numbers of equal length are compared digit by digit.
    while from <= to {
        let length = from.to_string().len() as u32;
        let last = to.min(10_u64.checked_pow(length).map_or(u64::MAX, |power| power - 1));
        ways.push(same_length(from.to_string().as_bytes(), last.to_string().as_bytes()));
        let Some(next) = last.checked_add(1) else { break };
        from = next;
    }
    if ways.len() == 1 { ways.remove(0) } else { Expr::Choice(ways) }
}

fn same_length(from: &[u8], to: &[u8]) -> Expr {
    let Some((a, b)) = from.first().zip(to.first()) else { return Expr::Sequence(Vec::new()) };
    let (a, b, rest) = (a - b'0', b - b'0', from.len() as u32 - 1);
    let all = |first: Expr, rest: u32| {
        let mut parts = vec![first];
        if rest > 0 {
            parts.push(times(digits(0, 9), rest, rest));
        }
        Expr::Sequence(parts)
    };
    let is_low = from[1..].iter().all(|digit| *digit == b'0');
    let is_high = to[1..].iter().all(|digit| *digit == b'9');
    if is_low && is_high {
        return all(digits(a, b), rest);
    }
    if a == b {
        return Expr::Sequence(vec![digits(a, a), same_length(&from[1..], &to[1..])]);
    }
    let (mut low, mut high, mut ways) = (a, b, Vec::new());
    if !is_low {
        ways.push(Expr::Sequence(vec![digits(a, a), same_length(&from[1..], &vec![b'9'; rest as usize])]));
        low += 1;
    }
    if !is_high {
        high -= 1;
    }
    if low <= high {
        ways.push(all(digits(low, high), rest));
    }
    if !is_high {
        ways.push(Expr::Sequence(vec![digits(b, b), same_length(&vec![b'0'; rest as usize], &to[1..])]));
    }
    Expr::Choice(ways)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::grammar::{Grammar, Rule, Rules};

    fn grammar(body: Expr) -> Grammar {
        let rules = vec![Rule { name: "root".into(), body, at: (0, 0) }];
        Grammar::from_rules(Rules { rules, root: 0 }).unwrap()
    }

    #[test]
    fn a_range_of_whole_numbers_holds_these_and_no_others() {
        let ranges =
            [(0, 0), (1, 1), (-1, 1), (0, 9), (7, 13), (95, 1_203), (-1_203, -95), (-20, 37), (100, 999), (-5, -5)];
        for (min, max) in ranges {
            let grammar = grammar(integers(min, max).unwrap());
            for n in -1_500..=1_500 {
                assert_eq!(
                    grammar.accepts(n.to_string().as_bytes()),
                    Ok((min..=max).contains(&n)),
                    "{n} in {min}..={max}"
                );
            }
            for text in ["", "-", "-0", "01", "+1", "1.0"] {
                assert_eq!(grammar.accepts(text.as_bytes()), Ok(false), "{text:?}");
            }
        }
        assert_eq!(integers(3, 2), None);
    }

    #[test]
    fn a_range_of_decimals_keeps_to_its_bounds() {
        let texts: Vec<String> = (-450..=450)
            .flat_map(|n: i32| {
                let exact = f64::from(n) / 100.0;
                [format!("{exact}"), format!("{exact:.2}"), format!("{exact:.1}"), format!("{exact:.0}")]
            })
            .filter(|text| text != "-0")
            .collect();
        let bounds = [(0, 3), (-3, 0), (-2, 4), (1, 1), (-4, -1), (0, 0), (2, 3)];
        for ((min, max), open) in
            bounds.iter().flat_map(|b| [(false, false), (true, false), (false, true)].map(|o| (*b, o)))
        {
            let Some(expr) = decimals(min, max, open) else {
                assert_eq!(min, max);
                continue;
            };
            let grammar = grammar(expr);
            for text in &texts {
                let n: f64 = text.parse().unwrap();
                let (low, high) = (min as f64, max as f64);
                let fits = (n > low || (n == low && !open.0)) && (n < high || (n == high && !open.1));
                let accepted = grammar.accepts(text.as_bytes()).unwrap();
                // `-0.0` is not written; everything else that fits is.
                if n == 0.0 && text.starts_with('-') {
                    assert!(!accepted);
                } else {
                    assert_eq!(accepted, fits, "{text} in {min}..={max}, open {open:?}");
                }
            }
        }
    }
}
