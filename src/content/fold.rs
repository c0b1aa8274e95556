//! Names made comparable, and how far two names are apart.
//!
//! `KV Cache`, `kv-cache`, `kv_caches` and `KVcache` are one name; so are `quantisation` and `quantization`.
//! `build.rs` shares this file, so that the index and the question are folded alike.

/// A name without case, spaces, hyphens, underscores, dots and other marks, in one spelling:
/// `-isa-`, `-ise-`, `-isi-` become `-iz-`, and a few British words American.
pub fn fold(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    for c in name.chars() {
        if !c.is_ascii() {
            if c.is_alphanumeric() {
                folded.extend(c.to_lowercase());
            }
        } else if c.is_ascii_alphanumeric() {
            push_in_one_spelling(&mut folded, c.to_ascii_lowercase());
        }
    }
    folded
}

/// Adds a letter, or what it makes of the letters before it.
fn push_in_one_spelling(folded: &mut String, c: char) {
    match c {
        'a' | 'e' | 'i' if folded.ends_with("is") => {
            folded.pop();
            folded.push('z');
        }
        'c' if folded.ends_with("licen") => return folded.push('s'),
        'r' if folded.ends_with("behaviou") => {
            folded.pop();
        }
        'e' if folded.ends_with("catalogu") => {
            folded.pop();
            return;
        }
        _ => {}
    }
    folded.push(c);
}

/// The same, and without the plural `s` of each word.
pub fn fold_singular(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).map(fold);
    words.map(|word| singular(&word).to_owned()).collect()
}

/// A folded word without its plural `s`. Short words (`gpus` is long enough, `its` is not) and `-ss` stay.
pub fn singular(word: &str) -> &str {
    match word.strip_suffix('s') {
        Some(stem) if stem.len() >= 3 && !stem.ends_with('s') => stem,
        _ => word,
    }
}

/// Edits between two names: insert, remove, replace a character, or swap two neighbours (optimal string alignment).
pub fn distance(a: &str, b: &str) -> usize {
    if a.is_ascii() && b.is_ascii() {
        return edits(a.as_bytes(), b.as_bytes());
    }
    edits(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
}

fn edits<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    let width = b.len() + 1;
    let mut rows = [(0..width).collect(), vec![0; width], vec![0; width]];
    for i in 1..=a.len() {
        let [last, row, before] = &mut rows;
        row[0] = i;
        for j in 1..width {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        // The row in hand becomes the last one, the last one the one before.
        rows.rotate_left(1);
    }
    rows[0][b.len()]
}

/// The name that was most likely meant, if any is near: at most a third of the letters differ, or it goes on.
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let folded = fold(wanted);
    let edits = |name: &str| {
        let name = fold(name);
        let goes_on = folded.len() >= 3 && name.starts_with(&folded);
        if goes_on { 1 } else { distance(&name, &folded) }
    };
    let (edits, name) = names.into_iter().map(|name| (edits(name), name)).min()?;
    (edits <= (folded.chars().count() / 3).max(1)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_marks_and_spelling_are_ignored() {
        for (a, b) in [
            ("KV Cache", "kv-cache"),
            ("top_p", "Top.P"),
            ("quantisation", "Quantization"),
            ("community licence", "Community License"),
            ("fine tuning", "fine-tuning"),
            ("Behaviour catalogue", "behavior catalog"),
        ] {
            assert_eq!(fold(a), fold(b));
        }
        assert_ne!(fold("bias"), fold("biaz"));
    }

    #[test]
    fn a_plural_is_the_same_name() {
        assert_eq!(fold_singular("open weights models"), fold_singular("open weight model"));
        assert_eq!(fold_singular("LoRAs"), "lora");
        assert_eq!(fold_singular("loss"), "loss");
    }

    #[test]
    fn distance_counts_a_swap_as_one() {
        for (a, b, edits) in [("lora", "lroa", 1), ("lora", "qlora", 1), ("", "abc", 3), ("kitten", "sitting", 3)] {
            assert_eq!((distance(a, b), distance(b, a)), (edits, edits), "{a} {b}");
        }
    }

    #[test]
    fn only_a_near_name_is_suggested() {
        assert_eq!(nearest("temprature", ["tokens", "temperature"]), Some("temperature".into()));
        assert_eq!(nearest("xyzzy", ["tokens", "temperature"]), None);
    }
}
