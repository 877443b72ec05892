//! How much memory has this process had?

/// The most that was in memory at one time, in bytes; `None` where the system does not tell.
pub fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(1024 * kilobytes)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn what_is_touched_counts() {
        let before = super::peak().expect("Linux tells");
        let numbers = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(super::peak().expect("Linux tells") > before.max(numbers.len() as u64));
    }
}
