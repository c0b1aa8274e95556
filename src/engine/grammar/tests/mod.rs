//! Grammars against texts they must take and refuse, against a plain matcher, and with vocabularies.

mod plain;
mod schema;

use std::sync::Arc;

use super::*;
use crate::engine::kernels::tests_support::Numbers;
use crate::engine::{TextToken, TokenId};

fn gbnf(text: &str) -> Grammar {
    Grammar::from_gbnf(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn accepts(grammar: &Grammar, text: &str) -> bool {
    grammar.accepts(text.as_bytes()).expect("within the limits")
}

/// What is wrong with a grammar.
fn refused(text: &str) -> String {
    Grammar::from_gbnf(text).err().unwrap_or_else(|| panic!("taken: {text:.80}")).to_string()
}

/// All single bytes as tokens, then these; the last ends a text.
fn vocabulary(more: &[&[u8]]) -> (Vec<TextToken>, Arc<Vocabulary>) {
    let bytes = (0..=255_u8).map(|b| vec![b]).chain(more.iter().map(|b| b.to_vec()));
    let mut tokens: Vec<TextToken> =
        bytes.enumerate().map(|(id, bytes)| TextToken { id: id as TokenId, bytes, special: false }).collect();
    let end = tokens.len() as TokenId;
    tokens.push(TextToken { id: end, bytes: b"<end>".to_vec(), special: true });
    let vocabulary = Vocabulary::new(tokens.iter().map(|t| (t.bytes.clone(), t.special)), &[end]);
    (tokens, Arc::new(vocabulary))
}

/// Follows a grammar with tokens drawn at random from what it allows, until the end token or `limit` tokens; whether
/// it came to the end.
fn wander(
    grammar: &Grammar,
    tokens: &[TextToken],
    vocabulary: &Arc<Vocabulary>,
    seed: u64,
    limit: usize,
) -> (Vec<u8>, bool) {
    let mut numbers = Numbers(seed);
    let mut constraint = Constraint::new(grammar, vocabulary.clone()).expect("fits");
    let mut text = Vec::new();
    for _ in 0..limit {
        if constraint.is_final() {
            assert!(constraint.is_accepting());
            return (text, true);
        }
        let mask = constraint.mask().expect("goes on");
        let allowed: Vec<&TextToken> = tokens.iter().filter(|token| mask.contains(token.id)).collect();
        assert_eq!(allowed.len(), mask.count());
        let token = allowed[(numbers.bits() % allowed.len() as u64) as usize];
        if token.special {
            assert!(constraint.is_accepting());
            return (text, true);
        }
        assert!(constraint.accept(token.id, &token.bytes, token.special).expect("within the limits"));
        text.extend_from_slice(&token.bytes);
    }
    (text, false)
}

#[test]
fn every_construct_takes_what_it_should_and_nothing_else() {
    let cases: [(&str, &[&str], &[&str]); 16] = [
        ("root ::= \"ab\"", &["ab"], &["", "a", "abc", "AB"]),
        ("root ::= \"a\" | \"b\" \"c\"", &["a", "bc"], &["b", "ac", "c"]),
        ("root ::= [a-c0-9é]", &["a", "c", "5", "é"], &["d", "", "aa", "è"]),
        ("root ::= [^a-c\\n]+", &["d", "xyz", "日本", "👩"], &["a", "xa", "\n", ""]),
        ("root ::= .", &["a", "é", "\n", "👩"], &["", "ab"]),
        ("root ::= \"a\"?", &["", "a"], &["aa"]),
        ("root ::= (\"a\" | \"b\")* \"c\"", &["c", "abac"], &["", "ab", "ca"]),
        ("root ::= [0-9]{2}", &["12"], &["1", "123"]),
        ("root ::= [0-9]{2,}", &["12", "12345"], &["1"]),
        ("root ::= ( \"a\" [0-9] ){1,3}", &["a1", "a1a2a3"], &["", "a1a2a3a4"]),
        ("root ::= [0-9]{ , 3}", &[], &[]),
        ("root ::= \"\\x41\\u00e9\\U0001F469\\t\\\"\\\\\"", &["Aé👩\t\"\\"], &["A"]),
        ("root ::= [\\]\\[-] [a-]", &["]a", "[-", "-a"], &["aa"]),
        ("root ::= \"\" | \"x\" root", &["", "x", "xxxx"], &["y"]),
        ("root ::= \"(\" root \")\" | \"\"", &["", "()", "((()))"], &["(", "(()", "())"]),
        (
            "# a comment\n\nroot ::= one | # more\n  two\none ::= (\n \"1\" # inside\n \"!\"\n)\r\ntwo::=\n\"2\"",
            &["1!", "2"],
            &["1", "12"],
        ),
    ];
    for (text, yes, no) in cases {
        let Ok(grammar) = Grammar::from_gbnf(text) else {
            assert!(yes.is_empty(), "{text}");
            continue;
        };
        yes.iter().for_each(|t| assert!(accepts(&grammar, t), "{t:?} is in {text}"));
        no.iter().for_each(|t| assert!(!accepts(&grammar, t), "{t:?} is not in {text}"));
        // What is written out means the same.
        let again = gbnf(&grammar.to_string());
        yes.iter().for_each(|t| assert!(accepts(&again, t), "{t:?} is in {grammar}"));
        no.iter().for_each(|t| assert!(!accepts(&again, t), "{t:?} is not in {grammar}"));
    }
}

#[test]
fn faults_are_told_with_line_and_column() {
    for (text, told) in [
        ("", "`root` is missing"),
        ("a ::= \"x\"", "`root` is missing"),
        ("root ::= \"x\"\nroot ::= \"y\"", "line 2, column 1: the rule `root` is there already, in line 1"),
        ("root ::= \"x\" other", "line 1, column 14: the rule `other` is nowhere defined"),
        ("root ::= \"x", "line 1, column 12: the literal is not closed"),
        ("root ::= [x", "column 12: the class is not closed"),
        ("root ::= \"\\q\"", "column 11: the escape `\\q` is not known"),
        ("root ::= \"\\xZZ\"", "`\\x` needs 2 hexadecimal digits"),
        ("root ::= \"\\uD800\"", "`\\u` needs 4 hexadecimal digits of a character"),
        ("root ::= \"\\u00é\"", "`\\u` needs 4"),
        ("root ::= (\"x\"\n", "line 2, column 1: `)` must close the group of line 1, but the grammar ends"),
        ("root ::= \"x\" )", "the rule `root` should end here, but there is `)`"),
        ("root = \"x\"", "line 1, column 6: `::=` must follow the rule's name `root`, but there is `=`"),
        ("root ::= \"x\"{3,2}", "the larger number comes first"),
        ("root ::= \"x\"{3", "`}` must close the repetition"),
        ("root ::= \"x\"{99999}", "10000 at most"),
        ("root ::= \"x\"{99999999999999999999}", "10000 at most"),
        ("root ::= [z-a]", "the range runs backwards"),
        ("root ::= \"x\" <tool", "`>` must close the token's name"),
        ("root ::= ! \"x\"", "a token in angle brackets must follow `!`"),
        ("root ::= <[x]>", "`x` is no token's number"),
        ("root ::= \"x\"??????", "one is enough"),
    ] {
        let error = refused(text);
        assert!(error.contains(told), "wanted {told:?} for {text:?}, got {error:?}");
    }
}

#[test]
fn a_rule_that_begins_with_itself_is_refused_with_its_circle() {
    assert!(refused("root ::= root \"x\" | \"\"").contains("(root → root)"));
    assert!(
        refused("root ::= \"y\" | a\na ::= b \"x\"\nb ::= a | \"z\"")
            .contains("line 2, column 1: a rule begins with itself (a → b → a)")
    );
    // Through something that can be nothing.
    assert!(refused("root ::= n n root \"x\" | \"y\"\nn ::= \"z\"?").contains("(root → root)"));
    assert!(refused("root ::= (\"z\"? root)* \"x\"").contains("itself"));
    assert!(accepts(&gbnf("root ::= \"y\" root \"x\" | \"\""), "yyxx"));
}

#[test]
fn hostile_grammars_are_refused_in_time() {
    let began = std::time::Instant::now();
    assert!(refused(&format!("root ::= {}\"x\"{}", "(".repeat(100_000), ")".repeat(100_000))).contains("nest deeper"));
    assert!(refused(&format!("root ::= \"{}\"", "x".repeat(300 << 10))).contains("longer than 256 KiB"));
    // A thousand times a thousand times a thousand: calls, not copies.
    let million = gbnf("root ::= (([a-z]{1000} \"x\"){1000} \"y\"){1000}");
    assert!(!accepts(&million, "abc"));
    let copies = format!("root ::= {}", "(\"abcde\" [a-z]){10000} ".repeat(60));
    assert!(refused(&copies).contains("grows to more than"));
    // Chains of rules that can all be nothing, each calling the next.
    let chain: String = (0..9_000).map(|i| format!("r{i} ::= r{} | \"\"\n", i + 1)).collect();
    let grammar = Grammar::from_gbnf(&format!("{chain}r9000 ::= \"x\"\nroot ::= r0"));
    assert!(grammar.is_ok_and(|grammar| accepts(&grammar, "x") && !accepts(&grammar, "xx")));
    // Many ways to read the same: refused, or right, but soon.
    let ambiguous =
        gbnf("root ::= (a | b)* \nv ::= \"x\" (a | b)? \na ::= \"x\" v? \"y\"?\nb ::= \"x\" v \"y\"? | \"x\"");
    let _ = ambiguous.accepts("x".repeat(400).as_bytes());
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn deep_nesting_and_long_lists_need_no_stack() {
    let nested = gbnf("root ::= \"[\" root \"]\" | \"\"");
    let text = "[".repeat(20_000) + &"]".repeat(20_000);
    assert!(accepts(&nested, &text));
    let list = gbnf("root ::= \"x\" root | \"x\"");
    assert!(accepts(&list, &"x".repeat(20_000)));
}

#[test]
fn the_mask_lets_half_characters_through_and_the_end_only_at_the_end() {
    let (_, vocabulary) = vocabulary(&["日".as_bytes(), &[0xE6, 0x97], &[0x97, 0xA5], &[0xA5, b'!'], b"!!"]);
    let grammar = gbnf("root ::= [日本]+ \"!\"");
    let mut constraint = Constraint::new(&grammar, vocabulary).unwrap();
    let allowed = |constraint: &mut Constraint| -> Vec<TokenId> {
        let mask = constraint.mask().unwrap();
        (0..262).filter(|id| mask.contains(*id)).collect()
    };
    // 日 is E6 97 A5, 本 is E6 9C AC.
    assert_eq!(allowed(&mut constraint), [0xE6, 256, 257]);
    assert_eq!(constraint.accept(0xE6, &[0xE6], false), Ok(true));
    assert_eq!(allowed(&mut constraint), [0x97, 0x9C, 258]);
    assert_eq!(constraint.accept(0x97, &[0x97], false), Ok(true));
    assert_eq!(allowed(&mut constraint), [0xA5, 259]);
    assert_eq!(constraint.accept(0x41, b"A", false), Ok(false));
    assert_eq!(constraint.accept(259, &[0xA5, b'!'], false), Ok(true));
    assert!(constraint.is_final() && constraint.is_accepting());
    assert_eq!(allowed(&mut constraint), [261], "only the end");
}

#[test]
fn a_grammar_may_name_tokens() {
    let tokens: [(&[u8], bool); 5] =
        [(b"a", false), (b"b", false), (b"<tool>", true), (b"</s>", true), (b"<x>", false)];
    let vocabulary = Arc::new(Vocabulary::new(tokens, &[3]));
    let start = |text: &str| Constraint::new(&gbnf(text), vocabulary.clone());
    let mut constraint = start("root ::= <tool> !<[1]> \"b\"").unwrap();
    let allowed = |constraint: &mut Constraint| {
        let mask = constraint.mask().unwrap();
        (0..5).filter(|id| mask.contains(*id)).collect::<Vec<TokenId>>()
    };
    assert_eq!(allowed(&mut constraint), [2]);
    assert_eq!(constraint.accept(2, b"<tool>", true), Ok(true));
    assert_eq!(allowed(&mut constraint), [0, 2, 4], "neither the one named nor the end");
    assert_eq!(constraint.accept(1, b"b", false), Ok(false));
    assert_eq!(constraint.accept(0, b"a", false), Ok(true));
    assert_eq!(allowed(&mut constraint), [1]);
    assert!(start("root ::= <nothing>").unwrap_err().to_string().contains("no token `<nothing>`"));
    assert!(start("root ::= <[5]>").unwrap_err().to_string().contains("no token number 5"));
    // Bytes and a token at once.
    let mut both = start("root ::= \"<\" \"x\" \">\" \"a\" | <x> \"b\"").unwrap();
    assert_eq!(allowed(&mut both), [4]);
    assert_eq!(both.accept(4, b"<x>", false), Ok(true));
    assert_eq!(allowed(&mut both), [0, 1]);
}

#[test]
fn a_vocabulary_that_cannot_go_on_is_told() {
    let vocabulary = Arc::new(Vocabulary::new([(b"a", false)], &[]));
    let mut constraint = Constraint::new(&gbnf("root ::= \"ab\""), vocabulary).unwrap();
    assert_eq!(constraint.mask().unwrap().count(), 1);
    constraint.accept(0, b"a", false).unwrap();
    assert!(constraint.mask().unwrap_err().to_string().contains("no token"));
}

#[test]
fn tidying_up_changes_nothing() {
    // Each step makes a new stack: states grow until they are tidied.
    let grammar = gbnf("root ::= (\"a\" root \"b\" | \"c\" root \"d\" | \"\")");
    let mut automaton = automaton::Automaton::new(grammar.program.clone()).unwrap();
    let mut state = automaton.start();
    let text: String = (0..30_000).map(|i| if i % 3 == 0 { 'a' } else { 'c' }).collect();
    let (mut tidied, end): (bool, String) =
        (false, text.chars().rev().map(|c| if c == 'a' { 'b' } else { 'd' }).collect());
    for byte in text.bytes().chain(end.bytes()) {
        let (at, is_new) = automaton.tidy(state);
        tidied |= is_new;
        state = automaton.step(at, byte).unwrap().expect("allowed");
    }
    assert!(tidied && automaton.is_accepting(state));
}
