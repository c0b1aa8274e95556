//! The reports of safetensors, pickles, zip archives, NumPy arrays and ONNX.

use std::collections::BTreeMap;

use serde_json::json;

use super::archive::{Archive, Member};
use super::pickle::{self, Described};
use super::{Found, Report, Tensor, Verdict, npy, onnx};
use crate::engine::file::{Faults, Kind};
use crate::engine::safetensors::Header;

/// Bytes of a member from which its kind is told.
const SNIFFED: u64 = 512;
/// A member of up to that many bytes is tried as a pickle without a mark.
const SMALL: u64 = 1 << 20;

pub(super) fn read_safetensors(bytes: &[u8], report: &mut Report) {
    let header = Header::read(bytes);
    report.metadata = header.metadata.into_iter().map(|(key, text)| (key, json!(text))).collect();
    report.tensors = header
        .tensors
        .into_iter()
        .map(|entry| Tensor {
            dtype: entry.dtype.name.to_owned(),
            shape: entry.shape.iter().map(|d| *d as u64).collect(),
            bytes: entry.bytes.len() as u64,
            at: Some(entry.bytes.start as u64),
            name: entry.name,
            file: None,
        })
        .collect();
    report.faults = header.faults;
}

/// Scans the pickles in `bytes`, which stand at `base` of the file.
pub(super) fn read_pickle(bytes: &[u8], base: usize, member: Option<&str>, report: &mut Report) {
    let found = pickle::scan(bytes, base);
    if member.is_none() {
        report.format = format!("Python pickle, protocol {}", found.protocol);
        report.tensors = found.tensors.iter().map(|described| of_pickle(described, None)).collect();
        let rest = bytes.len() as u64 - found.bytes;
        if rest > 0 && found.faults.is_empty() {
            report.remarks.at(
                base + found.bytes as usize,
                format_args!("{rest} bytes follow the pickle: the tensors' numbers, or something else"),
            );
        }
    }
    report.pickles.push(Found { member: member.map(str::to_owned), pickle: found });
}

fn of_pickle(described: &Described, member: Option<&Member>) -> Tensor {
    let numbers = described.shape.iter().try_fold(1_u64, |n, d| n.checked_mul(*d)).unwrap_or(u64::MAX);
    let storage = described.storage.rsplit('.').next().unwrap_or_default().trim_end_matches("Storage").to_owned();
    let width = match storage.as_str() {
        "Double" | "Long" | "ComplexFloat" => 8,
        "Float" | "Int" => 4,
        "Half" | "BFloat16" | "Short" => 2,
        "ComplexDouble" => 16,
        _ => 1,
    };
    Tensor {
        name: described.name.clone(),
        dtype: storage,
        shape: described.shape.clone(),
        bytes: numbers.saturating_mul(width),
        at: member.map(|member| member.at),
        file: member.map(|member| member.name.clone()),
    }
}

pub(super) fn read_npy(bytes: &[u8], base: usize, member: Option<&str>, report: &mut Report) {
    let mut faults = Faults::default();
    if let Some(array) = npy::read(bytes, base, &mut faults) {
        if member.is_none() {
            report.format = "NumPy array".into();
        }
        if array.is_pickle {
            read_pickle(
                &bytes[array.data_start..],
                base + array.data_start,
                Some(member.unwrap_or("the array")),
                report,
            );
        }
        report.tensors.push(Tensor {
            name: member.map_or("the array", |m| m.trim_end_matches(".npy")).to_owned(),
            bytes: array.bytes().unwrap_or((bytes.len() - array.data_start) as u64),
            dtype: array.descr,
            shape: array.shape,
            at: Some((base + array.data_start) as u64),
            file: member.map(str::to_owned),
        });
    }
    report.faults.take(faults);
}

pub(super) fn read_onnx(bytes: &[u8], report: &mut Report) {
    let found = onnx::read(bytes);
    let leaves = found.faults.listed.iter().any(|fault| fault.what.contains("outside the model's folder"));
    if leaves {
        report.verdict = Verdict::Dangerous;
    }
    report.facts.extend(found.facts);
    report.tensors = found.tensors;
    report.metadata = found.metadata.into_iter().map(|(key, text)| (key, json!(text))).collect();
    report.faults = found.faults;
}

pub(super) fn read_zip(bytes: &[u8], report: &mut Report) {
    let archive = Archive::read(bytes);
    report.faults.take(archive.faults);
    report.remarks.take(archive.remarks);
    report.format = format!("zip archive: {}", what_zip(&archive.members));
    for member in &archive.members {
        look_into(member, bytes, report);
    }
    let by_name: BTreeMap<&str, &Member> =
        archive.members.iter().map(|member| (member.name.as_str(), member)).collect();
    let described = report.pickles.iter().flat_map(|found| {
        let folder = found.member.as_deref().and_then(|name| name.rsplit_once('/')).map_or("", |(folder, _)| folder);
        found.pickle.tensors.iter().map(move |described| (folder, described))
    });
    let tensors: Vec<Tensor> = described
        .map(|(folder, described)| {
            let key = format!("{folder}/data/{}", described.key);
            of_pickle(described, by_name.get(key.trim_start_matches('/')).copied())
        })
        .collect();
    for tensor in tensors.iter().filter(|tensor| tensor.file.is_none()) {
        let what = format_args!("the numbers of the tensor `{}` are not in the archive", tensor.name);
        report.faults.add(None, what);
    }
    report.tensors.extend(tensors);
    report.members = archive.members;
}

fn look_into(member: &Member, bytes: &[u8], report: &mut Report) {
    let Some(head) = member.start(bytes, SNIFFED) else {
        return report.unknown(format_args!(
            "the member `{}` is packed by a method ({}) that osai cannot look into",
            member.name, member.method
        ));
    };
    let extension = member.name.rsplit_once('.').map_or("", |(_, ext)| ext).to_ascii_lowercase();
    let is_named = matches!(extension.as_str(), "pkl" | "pickle" | "pt" | "pth" | "ckpt" | "joblib" | "dill" | "dat");
    match Kind::of(&head) {
        Kind::Npy => {
            let whole = member.start(bytes, u64::MAX).unwrap_or_default();
            read_npy(&whole, base(member), Some(&member.name), report);
        }
        Kind::Zip | Kind::Tar | Kind::Compressed | Kind::Hdf5 => {
            report.unknown(format_args!("the member `{}` is an archive of its own, not looked into", member.name));
        }
        Kind::Program if !is_named => {
            report.unknown(format_args!("the member `{}` is a program", member.name));
        }
        Kind::Pickle => scan_member(member, bytes, is_named, report),
        _ if is_named => scan_member(member, bytes, true, report),
        Kind::Unknown if member.bytes <= SMALL => {
            let whole = member.start(bytes, SMALL).unwrap_or_default();
            if pickle::looks_like_pickle(&whole) {
                read_pickle(&whole, base(member), Some(&member.name), report);
            }
        }
        _ => {}
    }
}

/// Scans a member; one that only begins like a pickle, and is named like data, counts only if it imports something.
fn scan_member(member: &Member, bytes: &[u8], is_named: bool, report: &mut Report) {
    let whole = member.start(bytes, u64::MAX).unwrap_or_default();
    let found = pickle::scan(&whole, base(member));
    if !is_named && found.imports.is_empty() && !found.faults.is_empty() {
        return;
    }
    if (whole.len() as u64) < member.bytes {
        report.unknown(format_args!(
            "only the first {} bytes of the member `{}` could be unpacked",
            whole.len(),
            member.name
        ));
    }
    report.pickles.push(Found { member: Some(member.name.clone()), pickle: found });
}

/// Places in a stored member are those of the file; in a packed one they count from its start.
fn base(member: &Member) -> usize {
    if member.method == 0 { member.at as usize } else { 0 }
}

fn what_zip(members: &[Member]) -> &'static str {
    let any = |test: &dyn Fn(&str) -> bool| members.iter().any(|member| test(&member.name));
    if any(&|name| name.ends_with("/constants.pkl")) {
        "TorchScript, a program in PyTorch's own language"
    } else if any(&|name| name.ends_with("/data.pkl")) {
        "PyTorch checkpoint"
    } else if any(&|name| name.contains(".dist-info/")) {
        "Python wheel"
    } else if any(&|name| name.ends_with("model.weights.h5")) {
        "Keras model"
    } else if !members.is_empty() && members.iter().all(|member| member.name.ends_with(".npy")) {
        "NumPy arrays (.npz)"
    } else {
        "of no kind known here"
    }
}
