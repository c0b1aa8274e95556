//! Sums and differences, answered at once or with working. The same numbers with working and without show a learner
//! what working is good for.
//!
//! ```text
//! 357 + 268   7+8+0=15, 5+6+1=12, 3+2+1=6 so 625      from the right: digit + digit + carry
//! 625 - 268   15-8-0=7, 11-6-0=5 ...                  from the right: digit - digit - borrow; 10 is lent in sight
//! ```
//!
//! A pair of numbers belongs to training or to evaluation, never to both.

use super::document::Document;
use super::draw::Draw;
use super::grammar::Slots;
use super::kinds::Kind;
use super::phrasing::ask;

/// A pair of this side: both below `10^digits`, the larger one first where `ordered`.
fn pair(top: usize, ordered: bool, draw: &mut Draw) -> (usize, usize) {
    let one = |draw: &mut Draw| {
        let (x, y) = (draw.range(0, top), draw.range(0, top));
        if ordered && x < y { (y, x) } else { (x, y) }
    };
    draw.on_side(one, |(x, y)| format!("{x} {y}"))
}

fn asked(kind: Kind, (x, y): (usize, usize), answer: &str, draw: &mut Draw) -> Document {
    let slots = Slots::of([("x", &x.to_string()), ("y", &y.to_string())]);
    let question = ask(kind.name(), &slots, draw);
    let variant = if x.max(y) < 100 { "up to 2 digits" } else { "3 digits" };
    Document::asked(kind, variant, &question, answer)
}

/// Below 100 without working in half of the documents, below 1,000 in the others.
fn top(draw: &mut Draw) -> usize {
    if draw.chance(50) { 99 } else { 999 }
}

/// A sum at once.
pub fn sum(draw: &mut Draw) -> Document {
    let (x, y) = pair(top(draw), false, draw);
    asked(Kind::Sum, (x, y), &(x + y).to_string(), draw)
}

/// A difference at once.
pub fn minus(draw: &mut Draw) -> Document {
    let (x, y) = pair(top(draw), true, draw);
    asked(Kind::Minus, (x, y), &(x - y).to_string(), draw)
}

/// A sum with working.
pub fn sum_working(draw: &mut Draw) -> Document {
    let (x, y) = pair(top(draw), false, draw);
    asked(Kind::SumWorking, (x, y), &worked_sum(x, y), draw)
}

/// A difference with working.
pub fn minus_working(draw: &mut Draw) -> Document {
    let (x, y) = pair(top(draw), true, draw);
    asked(Kind::MinusWorking, (x, y), &worked_difference(x, y), draw)
}

/// How many columns the working has.
fn columns(x: usize, y: usize) -> u32 {
    x.max(y).max(1).ilog10() + 1
}

fn worked_sum(x: usize, y: usize) -> String {
    let mut carry = 0;
    let mut steps = Vec::new();
    for place in 0..columns(x, y) {
        let (a, b) = (x / 10_usize.pow(place) % 10, y / 10_usize.pow(place) % 10);
        steps.push(format!("{a}+{b}+{carry}={}", a + b + carry));
        carry = (a + b + carry) / 10;
    }
    format!("{} so {}", steps.join(", "), x + y)
}

fn worked_difference(x: usize, y: usize) -> String {
    let mut borrow = 0;
    let mut steps = Vec::new();
    for place in 0..columns(x, y) {
        let (mut a, b) = (x / 10_usize.pow(place) % 10, y / 10_usize.pow(place) % 10);
        let lent = a < b + borrow;
        a += if lent { 10 } else { 0 };
        steps.push(format!("{a}-{b}-{borrow}={}", a - b - borrow));
        borrow = usize::from(lent);
    }
    format!("{} so {}", steps.join(", "), x - y)
}

#[cfg(test)]
mod tests {
    use super::super::draw::Split;
    use super::super::kinds::show;
    use super::*;

    #[test]
    fn three_of_each() {
        let kinds = [Kind::Sum, Kind::SumWorking, Kind::Minus, Kind::MinusWorking];
        insta::assert_snapshot!(kinds.map(|kind| show(kind, 1, Split::Train, 3)).join("\n"));
    }

    #[test]
    fn working_carries_and_borrows() {
        assert_eq!(worked_sum(357, 268), "7+8+0=15, 5+6+1=12, 3+2+1=6 so 625");
        assert_eq!(worked_sum(0, 0), "0+0+0=0 so 0");
        assert_eq!(worked_difference(625, 268), "15-8-0=7, 12-6-1=5, 6-2-1=3 so 357");
        assert_eq!(worked_difference(100, 1), "10-1-0=9, 10-0-1=9, 1-0-1=0 so 99");
    }
}
