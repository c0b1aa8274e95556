//! Counts the network sockets of osai's processes: the proof that a lab's run stayed on this machine.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// Tables of sockets that reach a network; those between processes of one machine (`unix`) are not counted.
const TABLES: [&str; 7] = ["tcp", "tcp6", "udp", "udp6", "raw", "raw6", "icmp"];

/// Network sockets that this process and `child`, the model's, have open now; `None` where `/proc` does not tell of one
/// of them (other systems than Linux).
pub fn count(child: Option<u32>) -> Option<usize> {
    let own = count_in(Path::new("/proc/self"))?;
    let childs = child.map_or(Some(0), |id| count_in(&Path::new("/proc").join(id.to_string())))?;
    Some(own + childs)
}

/// The same for a process's folder under `/proc`.
fn count_in(process: &Path) -> Option<usize> {
    let own: HashSet<String> = fs::read_dir(process.join("fd"))
        .ok()?
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_string()))
        .collect();
    // Without the first table nothing is known, so nothing is claimed.
    fs::read_to_string(process.join("net/tcp")).ok()?;
    let text = |table| fs::read_to_string(process.join("net").join(table)).unwrap_or_default();
    Some(TABLES.into_iter().map(|table| own_rows(&text(table), &own)).sum())
}

/// Rows of a table whose inode (tenth column) is one of our own.
fn own_rows(table: &str, own: &HashSet<String>) -> usize {
    table.lines().skip(1).filter_map(|row| row.split_whitespace().nth(9)).filter(|inode| own.contains(*inode)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_that_listens_is_counted() {
        let before = count(None).expect("/proc");
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        assert!(count(None).expect("/proc") > before || before > 0);
        // Counted for each process.
        assert!(count(Some(std::process::id())).expect("/proc") > 1);
        drop(socket);
        assert_eq!(count(Some(u32::MAX)), None);
    }

    #[test]
    fn nothing_is_claimed_where_the_system_does_not_tell() {
        assert_eq!(count_in(Path::new("/no/such/folder")), None);
    }

    #[test]
    fn rows_are_matched_by_their_inode() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1\n   \
                     1: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 77 1\n";
        assert_eq!(own_rows(table, &HashSet::from(["4242".to_string()])), 1);
    }
}
