//! Random grammars against a matcher of another make: sets of positions, rules by recursion, characters not bytes.

use std::collections::BTreeSet;

use super::*;

/// Where a match of `expr` from any of these places may end.
fn ends(expr: &Expr, rules: &Rules, text: &[char], from: &BTreeSet<usize>) -> BTreeSet<usize> {
    match expr {
        Expr::Literal(literal) => {
            let literal: Vec<char> = literal.chars().collect();
            from.iter().filter(|at| text[**at..].starts_with(&literal)).map(|at| at + literal.len()).collect()
        }
        Expr::Class(ranges) => {
            let has = |at: &&usize| text.get(**at).is_some_and(|c| ranges.iter().any(|(a, b)| (a..=b).contains(&c)));
            from.iter().filter(has).map(|at| at + 1).collect()
        }
        Expr::Token { .. } => BTreeSet::new(),
        Expr::Rule(place) => ends(&rules.rules[*place].body, rules, text, from),
        Expr::Sequence(all) => all.iter().fold(from.clone(), |from, part| ends(part, rules, text, &from)),
        Expr::Choice(all) => all.iter().flat_map(|part| ends(part, rules, text, from)).collect(),
        Expr::Repeat { of, min, max } => {
            let mut now = from.clone();
            for _ in 0..*min {
                now = ends(of, rules, text, &now);
            }
            let mut all = now.clone();
            for _ in 0..max.map_or(text.len() + 1, |max| (max - min) as usize) {
                now = ends(of, rules, text, &now);
                all.extend(&now);
            }
            all
        }
    }
}

/// A random part that may call rules from `first` on.
fn random(numbers: &mut Numbers, depth: usize, first: usize, count: usize) -> Expr {
    let mut pick = |n: u64| numbers.bits() % n;
    match pick(if depth == 0 { 4 } else { 8 }) {
        0 | 1 => Expr::Literal(["a", "b", "ab", "é", "", "aé"][pick(6) as usize].into()),
        2 => {
            let ranges = merged(vec![(['a', 'b', 'é'][pick(3) as usize], 'é')]);
            Expr::Class(if pick(2) == 0 { ranges } else { negated(&ranges) })
        }
        3 if first < count => Expr::Rule(first + pick((count - first) as u64) as usize),
        3 => Expr::Class(vec![('a', 'b')]),
        4 | 5 => {
            let parts = 1 + pick(3);
            let parts = (0..parts).map(|_| random(numbers, depth - 1, first, count)).collect();
            Expr::Sequence(parts)
        }
        6 => {
            let parts = 1 + pick(3);
            let parts = (0..parts).map(|_| random(numbers, depth - 1, first, count)).collect();
            Expr::Choice(parts)
        }
        _ => {
            let min = pick(3) as u32;
            let max = (pick(2) == 0).then(|| min + pick(3) as u32);
            Expr::Repeat { of: Box::new(random(numbers, depth - 1, first, count)), min, max }
        }
    }
}

fn random_rules(numbers: &mut Numbers) -> Rules {
    let count = 3;
    // A rule calls only later ones, so none begins with itself.
    let rules = (0..count).map(|place| Rule {
        name: if place == 0 { "root".into() } else { format!("r{place}") },
        body: random(numbers, 3, place + 1, count),
        at: (1, 1),
    });
    Rules { rules: rules.collect(), root: 0 }
}

#[test]
fn random_texts_are_taken_exactly_where_a_plain_matcher_takes_them() {
    let mut numbers = Numbers(21);
    let mut taken = 0;
    for round in 0..1_500 {
        let rules = random_rules(&mut numbers);
        let grammar = Grammar::from_rules(rules.clone()).unwrap();
        let again = gbnf(&grammar.to_string());
        for _ in 0..12 {
            let length = numbers.bits() % 7;
            let text: Vec<char> = (0..length).map(|_| ['a', 'b', 'é', 'z'][(numbers.bits() % 4) as usize]).collect();
            let want = ends(&rules.rules[0].body, &rules, &text, &BTreeSet::from([0])).contains(&text.len());
            let text: String = text.into_iter().collect();
            assert_eq!(accepts(&grammar, &text), want, "round {round}: {text:?} in\n{grammar}");
            assert_eq!(accepts(&again, &text), want, "round {round}, written out: {text:?} in\n{grammar}");
            taken += usize::from(want);
        }
    }
    assert!(taken > 1_000, "{taken} texts were taken: the test sees both sides");
}

#[test]
fn what_the_mask_lets_through_the_grammar_accepts() {
    let mut numbers = Numbers(5);
    let (tokens, vocabulary) = vocabulary(&[b"ab", b"ba", "é".as_bytes(), &[0xA9, b'a'], b"aaa", b"b\xC3"]);
    let mut ended = 0;
    for round in 0..400 {
        let rules = random_rules(&mut numbers);
        let grammar = Grammar::from_rules(rules.clone()).unwrap();
        let mut constraint = Constraint::new(&grammar, vocabulary.clone()).unwrap();
        // A class that holds nothing can leave a grammar without any text.
        if constraint.mask().is_err() {
            continue;
        }
        let (text, is_end) = wander(&grammar, &tokens, &vocabulary, round, 60);
        if is_end {
            ended += 1;
            let text = String::from_utf8(text).expect("whole characters");
            let chars: Vec<char> = text.chars().collect();
            let all = ends(&rules.rules[0].body, &rules, &chars, &BTreeSet::from([0]));
            assert!(all.contains(&chars.len()), "round {round}: {text:?} in\n{grammar}");
        }
    }
    assert!(ended > 250, "{ended} came to an end");
}
