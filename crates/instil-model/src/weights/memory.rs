//! How much memory this machine has left.

use std::fs;

/// Bytes that can be allocated without pushing others out, where the system says so (Linux): what is available
/// in the whole machine or, if that is less, left of this process's control group.
pub fn available() -> Option<usize> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| of_meminfo(&text))?;
    let number = |file: &str| fs::read_to_string(file).ok()?.trim().parse::<usize>().ok();
    let group = number("/sys/fs/cgroup/memory.max")
        .zip(number("/sys/fs/cgroup/memory.current"))
        .map(|(most, used)| most.saturating_sub(used));
    Some(group.map_or(machine, |group| group.min(machine)))
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn of_meminfo(text: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

/// Bytes in the unit that reads best, for messages.
pub(crate) fn human(bytes: usize) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib >= 1024.0 { format!("{:.1} GiB", mib / 1024.0) } else { format!("{mib:.1} MiB") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_from_the_right_line() {
        let text = "MemTotal:       24000000 kB\nMemFree:          100 kB\nMemAvailable:   20000000 kB\n";
        assert_eq!(of_meminfo(text), Some(20_000_000 * 1024));
        assert_eq!(of_meminfo("MemTotal: 1 kB\n"), None);
        assert_eq!(of_meminfo("MemAvailable: much kB\n"), None);
    }

    #[test]
    fn sizes_are_written_for_people() {
        assert_eq!(human(3 << 19), "1.5 MiB");
        assert_eq!(human(7 << 30), "7.0 GiB");
    }
}
