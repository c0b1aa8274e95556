//! Which imports of a pickle are what checkpoints need, and which run code.
//!
//! The allow-list is short and decides alone what is safe: a name that is on neither list is unknown, and an unknown
//! name may do anything. Sources: PyTorch's `torch/_weights_only_unpickler.py` for what checkpoints need; the lists of
//! `picklescan` and `fickling`, and the reports of what got past them, for what runs code.

use serde::Serialize;

/// What is to be thought of an import, a call or a file. The worse is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Judgement {
    /// On the allow-list: makes tensors, arrays and plain containers, and nothing else.
    Safe,
    /// On neither list.
    Unknown,
    /// Runs code, reads or writes files, or hides what it does.
    Dangerous,
}

/// Safe names, by module.
const SAFE: &[(&str, &[&str])] = &[
    ("collections", &["OrderedDict", "Counter", "defaultdict", "deque"]),
    (
        "builtins",
        &[
            "set",
            "frozenset",
            "list",
            "dict",
            "tuple",
            "int",
            "float",
            "str",
            "bytes",
            "bool",
            "complex",
            "bytearray",
            "slice",
            "range",
        ],
    ),
    ("_codecs", &["encode"]),
    (
        "torch",
        &[
            "Size",
            "Tensor",
            "device",
            "dtype",
            "FloatStorage",
            "DoubleStorage",
            "HalfStorage",
            "BFloat16Storage",
            "LongStorage",
            "IntStorage",
            "ShortStorage",
            "CharStorage",
            "ByteStorage",
            "BoolStorage",
            "ComplexFloatStorage",
            "ComplexDoubleStorage",
            "QInt8Storage",
            "QInt32Storage",
            "QUInt8Storage",
            "QUInt4x2Storage",
            "QUInt2x4Storage",
            "float32",
            "float64",
            "float16",
            "bfloat16",
            "int64",
            "int32",
            "int16",
            "int8",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
            "bool",
            "complex64",
            "complex128",
            "float8_e4m3fn",
            "float8_e5m2",
            "float8_e4m3fnuz",
            "float8_e5m2fnuz",
            "qint8",
            "quint8",
            "strided",
            "per_tensor_affine",
            "per_channel_affine",
            "contiguous_format",
            "preserve_format",
        ],
    ),
    ("torch.storage", &["UntypedStorage", "TypedStorage", "_UntypedStorage", "_TypedStorage"]),
    ("torch.nn.parameter", &["Parameter", "Buffer"]),
    ("torch.serialization", &["_get_layout"]),
    ("torch._tensor", &["_rebuild_from_type_v2"]),
    (
        "torch._utils",
        &[
            "_rebuild_tensor",
            "_rebuild_tensor_v2",
            "_rebuild_tensor_v3",
            "_rebuild_parameter",
            "_rebuild_parameter_with_state",
            "_rebuild_qtensor",
            "_rebuild_sparse_tensor",
            "_rebuild_meta_tensor_no_storage",
            "_rebuild_device_tensor_from_numpy",
            "_rebuild_device_tensor_from_cpu_tensor",
            "_rebuild_nested_tensor",
            "_rebuild_wrapper_subclass",
            "_rebuild_sparse_csr_tensor",
        ],
    ),
    (
        "torch.jit._pickle",
        &["build_intlist", "build_doublelist", "build_boollist", "build_tensorlist", "restore_type_tag"],
    ),
    ("numpy", &["ndarray", "dtype"]),
    ("numpy.core.multiarray", &["_reconstruct", "scalar"]),
    ("numpy._core.multiarray", &["_reconstruct", "scalar"]),
    ("numpy.core.numeric", &["_frombuffer"]),
    ("numpy._core.numeric", &["_frombuffer"]),
];

/// Modules of which nothing belongs into a file of weights, with what is below them.
const DANGEROUS_MODULES: &[&str] = &[
    "os",
    "posix",
    "nt",
    "posixpath",
    "ntpath",
    "sys",
    "subprocess",
    "_posixsubprocess",
    "socket",
    "_socket",
    "ssl",
    "shutil",
    "pty",
    "runpy",
    "commands",
    "popen2",
    "webbrowser",
    "pip",
    "pickle",
    "_pickle",
    "cPickle",
    "pickletools",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "importlib",
    "imp",
    "_imp",
    "_frozen_importlib",
    "_frozen_importlib_external",
    "_signal",
    "_sqlite3",
    "syslog",
    "zipimport",
    "pkgutil",
    "pkg_resources",
    "code",
    "codeop",
    "types",
    "operator",
    "_operator",
    "functools",
    "_functools",
    "ctypes",
    "_ctypes",
    "cffi",
    "asyncio",
    "multiprocessing",
    "concurrent",
    "threading",
    "_thread",
    "http",
    "urllib",
    "urllib2",
    "httplib",
    "requests",
    "httpx",
    "aiohttp",
    "ftplib",
    "smtplib",
    "telnetlib",
    "poplib",
    "imaplib",
    "nntplib",
    "xmlrpc",
    "socketserver",
    "timeit",
    "profile",
    "cProfile",
    "pdb",
    "bdb",
    "trace",
    "idlelib",
    "lib2to3",
    "doctest",
    "unittest",
    "venv",
    "ensurepip",
    "distutils",
    "setuptools",
    "pydoc",
    "tempfile",
    "glob",
    "pathlib",
    "io",
    "_io",
    "codecs",
    "linecache",
    "logging",
    "signal",
    "resource",
    "atexit",
    "gc",
    "inspect",
    "site",
    "sysconfig",
    "_sysconfigdata",
    "_osx_support",
    "_aix_support",
    "_pyrepl",
    "_pyio",
    "__main__",
    "antigravity",
    "this",
    "ast",
    "dis",
    "builtin",
    "nturl2path",
    "mmap",
    "fcntl",
    "sqlite3",
    "dbm",
    "platform",
    "getpass",
    "cgitb",
    "crypt",
    "test",
    "tkinter",
    "turtle",
    "uuid",
    "rlcompleter",
    "readline",
    "cmd",
    "select",
    "selectors",
    "zipfile",
    "tarfile",
    "gzip",
    "bz2",
    "lzma",
    "zipapp",
    "compileall",
    "py_compile",
    "mimetypes",
    "netrc",
    "fileinput",
    "filecmp",
    "torch.hub",
    "torch.jit.unsupported_tensor_ops",
    "torch.utils.bottleneck",
    "torch.utils.cpp_extension",
    "torch.utils.collect_env",
    "torch.utils._config_module",
    "torch.utils.data",
    "torch.utils.model_dump",
    "torch.distributed",
    "torch.multiprocessing",
    "torch._inductor",
    "torch._dynamo",
    "torch.fx",
    "torch.package",
    "torch.cuda",
    "torch.testing",
    "torch.onnx",
    "torch.classes",
    "torch.ops",
    "torch._C",
    "numpy.testing",
    "numpy.f2py",
    "numpy.distutils",
    "numpy.lib",
    "pandas",
    "sklearn.externals",
    "tensorflow",
    "keras",
    "transformers.utils",
    "huggingface_hub",
    "IPython",
    "ipykernel",
    "paramiko",
    "fabric",
    "invoke",
    "sh",
    "pexpect",
    "psutil",
    "git",
    "docker",
    "boto3",
    "cryptography",
    "yaml",
    "jinja2",
    "mako",
    "execnet",
    "cloudinit",
    "ptyprocess",
];

/// Names that run code or open files, of modules of which other names may be harmless.
const DANGEROUS_NAMES: &[(&str, &[&str])] = &[
    (
        "builtins",
        &[
            "eval",
            "exec",
            "compile",
            "getattr",
            "setattr",
            "delattr",
            "open",
            "__import__",
            "breakpoint",
            "input",
            "globals",
            "locals",
            "vars",
            "execfile",
            "apply",
            "reload",
            "file",
            "raw_input",
            "map",
            "filter",
            "memoryview",
            "type",
            "super",
            "help",
            "exit",
            "quit",
            "property",
            "classmethod",
            "staticmethod",
            "__build_class__",
            "print",
            "dir",
            "id",
            "__loader__",
            "__spec__",
        ],
    ),
    ("torch", &["load", "save", "compile", "classes", "ops"]),
    ("torch.serialization", &["load", "_load", "_legacy_load", "add_safe_globals"]),
    ("torch.storage", &["_load_from_bytes"]),
    ("torch._utils", &["_import_dotted_name"]),
    ("torch.jit", &["load", "script", "trace"]),
    (
        "numpy",
        &[
            "load",
            "save",
            "savez",
            "loadtxt",
            "genfromtxt",
            "fromfile",
            "memmap",
            "fromregex",
            "savetxt",
            "vectorize",
            "frompyfunc",
        ],
    ),
    ("copyreg", &["__newobj__", "add_extension", "pickle", "constructor", "__newobj_ex__"]),
    ("collections", &["namedtuple"]),
    ("copy", &["copy", "deepcopy", "_reconstruct"]),
];

/// The name that Python 3 gives a module of Python 2 when it reads an old pickle.
fn modern(module: &str) -> &str {
    match module {
        "__builtin__" | "__builtins__" => "builtins",
        "copy_reg" => "copyreg",
        other => other,
    }
}

fn is_within(module: &str, outer: &str) -> bool {
    module.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Judges an import by module and name.
///
/// From protocol 4 on a name may have dots and then means an attribute of an attribute: `torch` has `os`, which has
/// `system`. Such a name is judged by each of its parts.
pub fn judge(module: &str, name: &str) -> Judgement {
    let module = modern(module);
    let listed = |list: &[(&str, &[&str])]| list.iter().any(|(m, names)| *m == module && names.contains(&name));
    if listed(SAFE) {
        return Judgement::Safe;
    }
    let full = format!("{module}.{name}");
    let whole = DANGEROUS_MODULES.iter().any(|outer| is_within(module, outer) || is_within(&full, outer));
    let parts = module.split('.').skip(1).chain(name.split('.'));
    let reached = name.contains('.') || module.contains('.');
    let builtins = DANGEROUS_NAMES[0].1;
    let mut hidden = parts.filter(|_| reached).map(modern);
    // `a.os.system`, `a.b.eval`, and any name with underscores that leads from an object to all of Python.
    let is_hidden = hidden.any(|part| {
        matches!(
            part,
            "os" | "sys"
                | "subprocess"
                | "builtins"
                | "posix"
                | "nt"
                | "importlib"
                | "socket"
                | "shutil"
                | "eval"
                | "exec"
        ) || matches!(
            part,
            "__globals__"
                | "__builtins__"
                | "__subclasses__"
                | "__class__"
                | "__reduce__"
                | "__dict__"
                | "__init__"
                | "__import__"
        ) || (name.contains('.') && builtins.contains(&part) && part != "type")
    });
    if whole || listed(DANGEROUS_NAMES) || is_hidden { Judgement::Dangerous } else { Judgement::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_on_both_lists() {
        for (module, names) in SAFE {
            for name in *names {
                assert!(!DANGEROUS_NAMES.iter().any(|(m, n)| m == module && n.contains(name)), "{module}.{name}");
                assert!(!DANGEROUS_MODULES.iter().any(|outer| is_within(module, outer)), "{module}.{name}");
                assert_eq!(judge(module, name), Judgement::Safe);
            }
        }
    }

    #[test]
    fn a_way_round_is_seen() {
        for (module, name) in [
            ("os", "system"),
            ("os.path", "join"),
            ("__builtin__", "eval"),
            ("torch", "os.system"),
            ("torch.serialization", "os.system"),
            ("torch.serialization.os", "system"),
            ("collections", "OrderedDict.__init__.__globals__"),
            ("torch._inductor.codecache", "compile_file"),
            ("builtins", "getattr"),
            ("numpy.testing._private.utils", "runstring"),
            ("some.lib", "os.popen"),
        ] {
            assert_eq!(judge(module, name), Judgement::Dangerous, "{module}.{name}");
        }
        for (module, name) in [
            ("mylib.nets", "Encoder"),
            ("osmosis", "Net"),
            ("sklearn.linear_model", "Ridge"),
            ("copyreg", "_reconstructor"),
        ] {
            assert_eq!(judge(module, name), Judgement::Unknown, "{module}.{name}");
        }
    }
}
