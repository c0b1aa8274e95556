//! Why a process ended, in the learner's words.

use std::process::ExitStatus;

use crate::text::SafeText;

/// What the standard library writes before it aborts because an allocation failed, or because a panic could not even
/// begin, which takes memory too.
const NO_MEMORY: [&str; 2] = ["memory allocation of ", "failed to initiate panic"];
/// Of the last words at most so many characters are shown.
const LAST_WORDS: usize = 160;

/// How a process ended and what to do, as the end of a sentence; `stderr` is what it wrote there.
pub fn sentence(status: ExitStatus, stderr: &[u8]) -> String {
    let last_words = last_words(stderr);
    let with_last_words = |sentence: String| match &last_words {
        Some(words) => format!("{sentence}: {words}"),
        None => sentence,
    };
    #[cfg(unix)]
    if let Some(number) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name = signal_hook::low_level::signal_name(number).map_or(format!("signal {number}"), str::to_owned);
        let said = String::from_utf8_lossy(stderr);
        let said_no_memory = NO_MEMORY.iter().any(|words| said.contains(words));
        return match number {
            libc::SIGABRT if said_no_memory => {
                format!("it asked for more memory than is free ({name}); close programs or take a smaller model")
            }
            libc::SIGKILL => format!(
                "the system killed its process ({name}), probably because memory ran out; close programs or take a \
                 smaller model"
            ),
            libc::SIGBUS => format!(
                "its file was shortened or went away while it was read ({name}); put the file back with `osai model add`"
            ),
            libc::SIGTERM | libc::SIGHUP | libc::SIGINT => format!("its process was ended from outside ({name})"),
            libc::SIGABRT | libc::SIGSEGV | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP | libc::SIGSYS => {
                with_last_words(format!("a fault of osai's or of the file ended its process ({name})"))
            }
            _ => with_last_words(format!("its process ended by {name}")),
        };
    }
    with_last_words(match status.code() {
        Some(code) => format!("its process ended with exit code {code}"),
        None => "its process ended".to_owned(),
    })
}

/// The last line that was written, safe to show.
fn last_words(stderr: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stderr);
    // Of a panic the message stands before the note on backtraces.
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("note: "))?;
    let line: String = line.trim_start_matches("osai: ").chars().take(LAST_WORDS).collect();
    Some(SafeText::line(line).into_string())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn each_end_says_what_happened_and_what_to_do() {
        let signal = |number, stderr: &str| sentence(ExitStatus::from_raw(number), stderr.as_bytes());
        assert_eq!(
            signal(libc::SIGKILL, ""),
            "the system killed its process (SIGKILL), probably because memory ran out; close programs or take a \
             smaller model"
        );
        assert_eq!(
            signal(libc::SIGABRT, "memory allocation of 4398046511104 bytes failed\n"),
            "it asked for more memory than is free (SIGABRT); close programs or take a smaller model"
        );
        assert_eq!(
            signal(libc::SIGBUS, ""),
            "its file was shortened or went away while it was read (SIGBUS); put the file back with `osai model add`"
        );
        assert_eq!(signal(libc::SIGTERM, "x"), "its process was ended from outside (SIGTERM)");
        assert_eq!(
            signal(libc::SIGABRT, "\nthread 'model' has overflowed its stack\n\n"),
            "a fault of osai's or of the file ended its process (SIGABRT): thread 'model' has overflowed its stack"
        );
        assert_eq!(signal(libc::SIGSEGV, ""), "a fault of osai's or of the file ended its process (SIGSEGV)");
        assert_eq!(signal(libc::SIGXCPU, ""), "its process ended by SIGXCPU");
    }

    #[test]
    fn last_words_are_one_safe_line() {
        let exit = |stderr: &[u8]| sentence(ExitStatus::from_raw(4 << 8), stderr);
        assert_eq!(exit(b""), "its process ended with exit code 4");
        assert_eq!(
            exit(b"osai: \x1b]0;x\x07\xff\n"),
            "its process ended with exit code 4: \u{241b}]0;x\u{2407}\u{fffd}"
        );
        assert_eq!(exit(b"boom\nnote: run with `RUST_BACKTRACE=1`\n"), "its process ended with exit code 4: boom");
        assert!(exit(&[b'x'; 9999]).len() < 250);
    }
}
