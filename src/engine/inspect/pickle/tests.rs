//! Each pickle below was written by hand or by CPython 3.11; none was ever loaded.

use super::*;

fn judged(bytes: &[u8]) -> (Judgement, Vec<String>) {
    let found = scan(bytes, 0);
    (found.judgement, found.imports.into_iter().map(|import| import.name).collect())
}

fn short(text: &str) -> Vec<u8> {
    [&[0x8C, text.len() as u8][..], text.as_bytes()].concat()
}

#[test]
fn plain_data_are_safe() {
    // pickle.dumps({"a": [1, 2.5, None, True, b"x"], "b": (1, 2, 3, 4)}, 4)
    let bytes = b"\x80\x04\x95/\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94]\x94(K\x01G@\x04\0\0\0\0\0\0N\x88C\x01x\x94e\x8c\x01b\x94(K\x01K\x02K\x03K\x04t\x94u.";
    let found = scan(bytes, 0);
    assert_eq!((found.judgement, found.protocol, found.pickles), (Judgement::Safe, 4, 1));
    assert!(found.imports.is_empty() && found.calls.is_empty() && found.faults.is_empty(), "{found:?}");
    assert_eq!(found.bytes, bytes.len() as u64);
}

#[test]
fn the_same_call_is_seen_in_every_spelling() {
    let stack_global = [&b"\x80\x04"[..], &short("os"), &short("system"), b"\x93", &short("id"), b"\x85R."].concat();
    let memo =
        [&b"\x80\x04"[..], &short("system"), b"\x94", &short("os"), b"h\x00\x93", &short("id"), b"\x85R."].concat();
    let dotted =
        [&b"\x80\x04"[..], &short("torch"), &short("serialization.os.system"), b"\x93", &short("id"), b"\x85R."]
            .concat();
    let escaped = b"S'o\\x73'\nS'\\163ystem'\n\x93S'id'\n\x85R.".to_vec();
    let unicode = b"V\\u006fs\nVsystem\n\x93(S'id'\ntR.".to_vec();
    let duplicate = [&b"\x80\x04"[..], &short("posix"), &short("system"), b"\x93200", &short("id"), b"\x85R."].concat();
    let nested = [&b"\x80\x04}C"[..], &[stack_global.len() as u8], &stack_global, b"."].concat();
    let cases: [(&str, &[u8]); 12] = [
        ("GLOBAL", b"cos\nsystem\n(S'id'\ntR."),
        ("INST", b"(S'id'\nios\nsystem\n."),
        ("OBJ", b"(cos\nsystem\nS'id'\no."),
        ("NEWOBJ", b"\x80\x02cos\nsystem\nU\x02id\x85\x81."),
        ("old builtins", b"c__builtin__\neval\n(S'1'\ntR."),
        ("STACK_GLOBAL", &stack_global),
        ("from the memo", &memo),
        ("dotted", &dotted),
        ("escaped", &escaped),
        ("unicode line", &unicode),
        ("duplicated", &duplicate),
        ("nested", &nested),
    ];
    for (name, bytes) in cases {
        assert_eq!(judged(bytes).0, Judgement::Dangerous, "{name}: {:?}", scan(bytes, 0));
    }
}

#[test]
fn a_fault_does_not_clear_what_stands_before_it() {
    for rest in [&b""[..], b"\xFF", b"R", b"h\x07", b"X\xff\xff\xff\xff"] {
        let found = scan(&[b"cposix\nsystem\n(S'id'\ntR", rest].concat(), 0);
        assert_eq!(found.judgement, Judgement::Dangerous);
        assert!(!found.faults.is_empty());
    }
}

#[test]
fn a_name_that_is_computed_is_dangerous_and_a_call_of_something_computed_is_not_safe() {
    // The module is the result of a call.
    let hidden = [&b"\x80\x04ccollections\nOrderedDict\n)R"[..], &short("system"), b"\x93)R."].concat();
    assert_eq!(judged(&hidden).0, Judgement::Dangerous);
    let computed = b"\x80\x02ccollections\nOrderedDict\n)R)R.";
    assert_eq!(judged(computed).0, Judgement::Unknown);
    // BUILD on a class changes the class.
    assert_eq!(judged(b"\x80\x02ccollections\nOrderedDict\n}b.").0, Judgement::Unknown);
    assert_eq!(judged(b"\x80\x02\x82\x05)R.").0, Judgement::Unknown);
}

#[test]
fn places_are_told_from_the_start_of_the_file() {
    let found = scan(b"\x80\x02cos\nsystem\nU\x02id\x85R.", 1000);
    assert_eq!((found.imports[0].places.first.as_slice(), found.imports[0].instruction), (&[1002][..], "GLOBAL"));
    assert_eq!(
        found.calls[0],
        Call {
            instruction: "REDUCE",
            target: Some("os.system".into()),
            places: Places { count: 1, first: vec![1018] }
        }
    );
}

#[test]
fn the_tensors_of_a_checkpoint_are_described() {
    // What torch.save({"w": torch.zeros(2, 3)}) puts into data.pkl, memo left out.
    let storage =
        [&b"("[..], &short("storage"), b"ctorch\nFloatStorage\n", &short("0"), &short("cpu"), b"K\x06tQ"].concat();
    let tensor = [
        &b"ctorch._utils\n_rebuild_tensor_v2\n("[..],
        &storage,
        b"K\0K\x02K\x03\x86K\x03K\x01\x86\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat();
    let bytes = [&b"\x80\x02}"[..], &short("w"), &tensor, b"s."].concat();
    let found = scan(&bytes, 0);
    assert_eq!(found.judgement, Judgement::Safe, "{found:?}");
    let described =
        Described { name: "w".into(), storage: "torch.FloatStorage".into(), key: "0".into(), shape: vec![2, 3] };
    assert_eq!(found.tensors, [described]);
}

#[test]
fn several_pickles_in_a_row_are_all_read() {
    let found = scan(b"\x80\x02K\x01.\x80\x02}.\x80\x02cos\nsystem\n.rest", 0);
    assert_eq!((found.pickles, found.judgement), (3, Judgement::Dangerous));
}

#[test]
fn a_pickle_without_a_mark_is_recognised() {
    assert!(looks_like_pickle(b"cos\nsystem\n(S'id'\ntR."));
    for other in [&b"created by hand\n"[..], b"(a list)", b"]", b"", b"}."] {
        assert!(!looks_like_pickle(other), "{other:?}");
    }
}

#[test]
fn endless_growth_is_stopped() {
    let bomb = vec![b'N'; 3 << 20];
    let found = scan(&bomb, 0);
    assert!(found.faults.listed[0].what.contains("larger than any checkpoint"), "{:?}", found.faults);
    let doubled = [&b"("[..], &[b'2'; 64], &vec![b't'; 1 << 12]].concat();
    assert!(!scan(&doubled, 0).faults.is_empty());
}
