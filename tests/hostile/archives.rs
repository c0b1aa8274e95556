//! Hostile zip archives and pickles. None of these pickles was ever loaded.

use super::Case;

/// A member of an archive and what its two headers say.
#[derive(Clone)]
struct Member {
    name: Vec<u8>,
    local_name: Option<Vec<u8>>,
    flags: u16,
    method: u16,
    data: Vec<u8>,
    packed: Option<u32>,
    unpacked: Option<u32>,
    offset: Option<u32>,
}

fn member(name: &str, data: &[u8]) -> Member {
    Member {
        name: name.into(),
        local_name: None,
        flags: 0,
        method: 0,
        data: data.into(),
        packed: None,
        unpacked: None,
        offset: None,
    }
}

/// An archive with its end record changed by `end`: members, size and offset of the directory.
fn zip_with(members: &[Member], end: impl FnOnce(u16, u32, u32) -> (u16, u32, u32)) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let at = out.len() as u32;
        let name = member.local_name.as_ref().unwrap_or(&member.name);
        let common = |out: &mut Vec<u8>| {
            out.extend([20, 0]);
            out.extend(member.flags.to_le_bytes());
            out.extend(member.method.to_le_bytes());
            out.extend([0; 8]); // time, date, checksum
            out.extend(member.packed.unwrap_or(member.data.len() as u32).to_le_bytes());
            out.extend(member.unpacked.unwrap_or(member.data.len() as u32).to_le_bytes());
        };
        out.extend(b"PK\x03\x04");
        common(&mut out);
        out.extend((name.len() as u16).to_le_bytes());
        out.extend([0, 0]);
        out.extend(name);
        out.extend(&member.data);
        directory.extend(b"PK\x01\x02\x14\0");
        common(&mut directory);
        directory.extend((member.name.len() as u16).to_le_bytes());
        directory.extend([0; 12]); // extra, comment, disk, attributes
        directory.extend(member.offset.unwrap_or(at).to_le_bytes());
        directory.extend(&member.name);
    }
    let (count, size, offset) = end(members.len() as u16, directory.len() as u32, out.len() as u32);
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(offset.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn zip(members: &[Member]) -> Vec<u8> {
    zip_with(members, |count, size, offset| (count, size, offset))
}

fn text(text: &str) -> Vec<u8> {
    [&[0x8C, text.len() as u8][..], text.as_bytes()].concat()
}

/// What PyTorch writes for `{"w": a tensor of 2 × 3}`.
fn data_pkl() -> Vec<u8> {
    let storage =
        [&b"("[..], &text("storage"), b"ctorch\nFloatStorage\n", &text("0"), &text("cpu"), b"K\x06tQ"].concat();
    let rest = b"K\0K\x02K\x03\x86K\x03K\x01\x86\x89ccollections\nOrderedDict\n)RtR";
    [&b"\x80\x02}"[..], &text("w"), b"ctorch._utils\n_rebuild_tensor_v2\n(", &storage, rest, b"s."].concat()
}

fn checkpoint() -> Vec<Member> {
    vec![member("m/data.pkl", &data_pkl()), member("m/data/0", &[0; 24]), member("m/version", b"3\n")]
}

/// A checkpoint with which nothing is wrong.
pub fn good() -> Vec<u8> {
    zip(&checkpoint())
}

fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    [&b"\x93NUMPY\x01\0"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
}

/// Arrays with which nothing is wrong.
pub fn npz() -> Vec<u8> {
    zip(&[member("a.npy", &npy("<f4", "(2, 3)", &[0; 24])), member("b.npy", &npy("|u1", "()", &[1]))])
}

/// A pickle that runs `id`.
const EVIL: &[u8] = b"cposix\nsystem\n(S'id'\ntR.";

/// All cases.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let good = good();
    // Cut anywhere, the directory at the end is gone; one byte alone is of no kind.
    cases.extend((1..good.len()).step_by(7).map(|len| Case::new(format!("zip cut at {len}"), good[..len].to_vec())));
    archives(&mut cases);
    arrays(&mut cases);
    pickles(&mut cases);
    cases
}

fn archives(cases: &mut Vec<Case>) {
    let mut changed = |name: &str, change: &dyn Fn(&mut Vec<Member>)| {
        let mut members = checkpoint();
        change(&mut members);
        cases.push(Case::new(name, zip(&members)));
    };
    changed("evil data.pkl", &|m| m[0].data = EVIL.into());
    changed("evil under another name", &|m| m.push(member("m/notes.txt", EVIL)));
    changed("evil among the numbers", &|m| m[1].data = [&b"\x80\x02"[..], EVIL].concat());
    changed("evil marked as encrypted", &|m| (m[0].data, m[0].flags) = (EVIL.into(), 1));
    changed("marked as encrypted", &|m| m[0].flags = 1);
    changed("a name twice", &|m| m.push(m[0].clone()));
    changed("two names for one", &|m| m[0].local_name = Some(b"m/dbta.pkl".to_vec()));
    changed("two lengths of the name", &|m| m[0].local_name = Some(b"x".to_vec()));
    changed("on one place", &|m| m[1].offset = Some(0));
    for (name, offset) in [("the directory", 400), ("nowhere", u32::MAX - 1), ("the middle", 5)] {
        changed(&format!("a member in {name}"), &|m| m[1].offset = Some(offset));
    }
    for size in [0, 1, 25, 1 << 20, u32::MAX - 1, u32::MAX] {
        changed(&format!("packed into {size}"), &|m| m[1].packed = Some(size));
        changed(&format!("unpacked into {size}"), &|m| m[1].unpacked = Some(size));
    }
    for method in [1, 6, 9, 12, 14, 93, 95, 97, 98, 99, 255] {
        changed(&format!("method {method}"), &|m| m[0].method = method);
    }
    changed("deflated rubbish", &|m| (m[0].method, m[0].data) = (8, vec![0xFF; 64]));
    for name in ["../evil.pkl", "/etc/passwd", "a/../../b", "C:\\evil.txt", "..\\evil", "a\u{1b}[31m", "a\0b", "a\nb"] {
        changed(&format!("named {name:?}"), &|m| m.push(member(name, b"x")));
    }
    changed("a name of 600 bytes", &|m| m.push(member(&"x".repeat(600), b"x")));
    changed("an archive inside", &|m| m.push(member("m/inner.zip", &zip(&[]))));
    changed("numbers that are not there", &|m| drop(m.remove(1)));
    let base = checkpoint();
    let mut ended = |name: &str, end: &dyn Fn(u16, u32, u32) -> (u16, u32, u32)| {
        cases.push(Case::new(name, zip_with(&base, end)));
    };
    for count in [4, 100, 65_534] {
        ended(&format!("{count} members"), &|_, size, offset| (count, size, offset));
    }
    ended("fewer members", &|_, size, offset| (2, size, offset));
    ended("a directory before the file", &|count, size, offset| (count, size, offset + 1));
    ended("a directory of 4 GB", &|count, _, offset| (count, u32::MAX - 1, offset));
    ended("a directory of 64 bits without its record", &|count, size, _| (count, size, u32::MAX));
    ended("a directory in the data", &|count, size, offset| (count, size + 3, offset - 3));
    cases.push(Case::new("bytes before", [&[b'P', b'K', 3, 4, 0, 0, 0][..], &zip(&base)].concat()));
    cases.push(Case::new("bytes after", [zip(&base), vec![0; 9]].concat()));
    let many: Vec<Member> = (0..65_535_u32).map(|n| member(&n.to_string(), b"")).collect();
    cases.push(Case::new(
        "65,535 members with names twice",
        zip(&[many, vec![]].concat()[..65_000].iter().chain(&base).chain(&base).cloned().collect::<Vec<_>>()),
    ));
}

fn arrays(cases: &mut Vec<Case>) {
    let objects = npy("|O", "(1,)", EVIL);
    cases.push(Case::new("an array of objects", objects.clone()));
    cases.push(Case::new("an archive with an array of objects", zip(&[member("a.npy", &objects)])));
    for (name, bytes) in [
        ("no header", b"\x93NUMPY\x01\0".to_vec()),
        ("version 9", b"\x93NUMPY\x09\0\0\0".to_vec()),
        ("a header of 64 kB", [&b"\x93NUMPY\x01\0\xFF\xFF"[..], &[b' '; 100]].concat()),
        ("a header of 4 GB", [&b"\x93NUMPY\x02\0\xFF\xFF\xFF\xFF"[..], &[b' '; 100]].concat()),
        ("no type", [&b"\x93NUMPY\x01\0\x02\0"[..], b"{}"].concat()),
        ("a shape of words", npy("<f4", "(a,)", &[0; 4])),
        ("too few numbers", npy("<f4", "(2, 3)", &[0; 20])),
        ("too many numbers", npy("<f4", "(2, 3)", &[0; 28])),
        ("a negative shape", npy("<f4", "(-1,)", &[0; 4])),
    ] {
        cases.push(Case::new(format!("an array with {name}"), bytes));
    }
}

fn pickles(cases: &mut Vec<Case>) {
    let call = [text("id"), b"\x85R.".to_vec()].concat();
    let by_stack = |module: &str, name: &str| [&b"\x80\x04"[..], &text(module), &text(name), b"\x93", &call].concat();
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("subprocess", "Popen"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("__builtin__", "eval"),
        ("builtins", "getattr"),
        ("webbrowser", "open"),
        ("runpy", "_run_code"),
        ("importlib", "import_module"),
        ("pickle", "loads"),
        ("_pickle", "loads"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch.hub", "load"),
        ("torch", "serialization.os.system"),
        ("numpy.testing._private.utils", "runstring"),
        ("operator", "attrgetter"),
        ("functools", "partial"),
        ("shutil", "rmtree"),
        ("socket", "socket"),
        ("ctypes", "CDLL"),
        ("code", "InteractiveInterpreter"),
        ("pip", "main"),
        ("timeit", "timeit"),
        ("cProfile", "run"),
        ("doctest", "debug_script"),
        ("unknown.lib", "Class"),
        ("copyreg", "_reconstructor"),
    ] {
        cases.push(Case::new(format!("{module}.{name}"), by_stack(module, name)));
    }
    let nested = by_stack("os", "system");
    for (name, bytes) in [
        ("GLOBAL", EVIL.to_vec()),
        ("INST", b"(S'id'\nios\nsystem\n.".to_vec()),
        ("OBJ", b"(cos\nsystem\nS'id'\no.".to_vec()),
        ("NEWOBJ", b"\x80\x02cos\nsystem\nU\x02id\x85\x81.".to_vec()),
        ("NEWOBJ_EX", b"\x80\x04cos\nsystem\nU\x02id\x85}\x92.".to_vec()),
        ("escaped names", b"S'o\\x73'\nS'\\163ystem'\n\x93S'id'\n\x85R.".to_vec()),
        ("names from the memo", b"S'os'\np0\n0S'system'\np1\n0g0\ng1\n\x93(S'id'\ntR.".to_vec()),
        ("a pickle inside", [&b"\x80\x04}C"[..], &[nested.len() as u8], &nested, b"."].concat()),
        ("a second pickle", [&b"\x80\x02}."[..], b"\x80\x02", EVIL].concat()),
        ("a fault after the call", [&EVIL[..EVIL.len() - 1], b"\xFF"].concat()),
        ("a fault at once", b"\x80\x04\xFF".to_vec()),
        ("an extension", b"\x80\x02\x82\x05)R.".to_vec()),
        ("BUILD on a class", b"\x80\x02ccollections\nOrderedDict\n}b.".to_vec()),
        ("a computed name", b"\x80\x04ccollections\nOrderedDict\n)R\x8c\x06system\x93)R.".to_vec()),
        ("an empty stack", b"\x80\x04R.".to_vec()),
        ("a missing mark", b"\x80\x04t.".to_vec()),
        ("an empty memo", b"\x80\x04h\x09.".to_vec()),
        ("a text of 2^63 bytes", [&b"\x80\x04\x8d"[..], &(1_u64 << 63).to_le_bytes()].concat()),
        ("bytes of 4 GB", b"\x80\x04B\xff\xff\xff\xff".to_vec()),
        ("four million things", [&b"\x80\x04"[..], &vec![b']'; 4 << 20], b"."].concat()),
        ("four million texts", [&b"\x80\x04"[..], &b"\x8c\x00".repeat(4 << 20), b"."].concat()),
        ("a million in the memo", [&b"\x80\x04"[..], &b")\x94".repeat(3 << 20), b"."].concat()),
        ("a million marks", [&b"\x80\x04"[..], &vec![b'('; 3 << 20], b"."].concat()),
        ("tuples of tuples", [&b"\x80\x04N"[..], &b"2\x86".repeat(2 << 20), b"."].concat()),
    ] {
        cases.push(Case::new(name, bytes));
    }
    let names: Vec<u8> = (0..10_000).flat_map(|n| format!("cmodule{n}\nname\n").into_bytes()).collect();
    cases.push(Case::new("10,000 names", [&b"\x80\x02"[..], &names, b"."].concat()));
    let long = format!("c{}\nname\n", "x".repeat(1 << 20)).into_bytes();
    cases.push(Case::new("a name of a megabyte", [&b"\x80\x02"[..], &long, b"."].concat()));
}
