//! What a run costs: time, memory, energy; measured by the engine itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::engine::{Energy, EngineError, Memory, RunStats};

/// What a busy core is taken to draw where nothing is known: a laptop's processor of 28 W with six cores draws about
/// this much a core under full load, a desktop's twice as much. Screen, memory and power supply are not in it.
pub const WATTS_PER_CORE: f32 = 5.0;

/// Linux's folder of energy counters (RAPL).
const POWERCAP: &str = "/sys/class/powercap";

/// A stopwatch for a run.
#[derive(Debug)]
pub struct Meter {
    started: Instant,
    cpu_seconds: Option<f64>,
    counters: Vec<Counter>,
}

/// An energy counter of a processor package.
#[derive(Debug)]
struct Counter {
    path: PathBuf,
    microjoules: u64,
    /// It starts again from 0 here.
    range: u64,
}

impl Meter {
    /// Starts now.
    pub fn start() -> Self {
        Self { started: Instant::now(), cpu_seconds: cpu_seconds(), counters: counters(Path::new(POWERCAP)) }
    }

    /// Milliseconds since the start.
    pub fn elapsed_ms(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1e3
    }

    /// Writes time, memory and energy into the stats; `memory` has what only the model knows. `watts` is what a busy core is taken to draw.
    pub fn finish(&self, stats: &mut RunStats, memory: Memory, watts: Option<f32>) {
        stats.elapsed_ms = self.elapsed_ms();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        stats.memory = Memory {
            resident_bytes: status_bytes(&status, "VmRSS:"),
            peak_resident_bytes: status_bytes(&status, "VmHWM:"),
            ..memory
        };
        stats.energy = self.energy(watts);
    }

    fn energy(&self, watts: Option<f32>) -> Option<Energy> {
        let seconds = self.started.elapsed().as_secs_f64();
        let measured: Option<Vec<u64>> = self.counters.iter().map(Counter::since).collect();
        if let Some(microjoules) = measured.filter(|all| !all.is_empty()) {
            let joules = microjoules.iter().sum::<u64>() as f64 / 1e6;
            let assumption = format!(
                "measured by the processor's own counter (RAPL) over {seconds:.1} s: the whole processor, other programs \
                 included; not screen, memory and power supply"
            );
            return Some(Energy { joules, is_measured: true, assumption });
        }
        let busy = cpu_seconds()? - self.cpu_seconds?;
        let (rate, whose) = match watts {
            Some(watts) => (watts, "as given"),
            None => (WATTS_PER_CORE, "assumed, as for a laptop's core at full load"),
        };
        let assumption = format!(
            "estimated: {busy:.2} s of processor time at {rate} W a core ({whose}); not screen, memory and power supply"
        );
        Some(Energy { joules: busy * f64::from(rate), is_measured: false, assumption })
    }
}

/// Checks the watts that are given.
///
/// # Errors
/// [`EngineError::BadSetting`].
pub fn check_watts(watts: Option<f32>) -> Result<(), EngineError> {
    match watts.filter(|watts| !(*watts > 0.0 && *watts <= 1_000.0)) {
        None => Ok(()),
        Some(watts) => Err(EngineError::BadSetting {
            what: format!("the watts of a core are {watts}; they must be above 0 and at most 1000"),
        }),
    }
}

/// Processor time of this process so far, all threads.
#[cfg(unix)]
fn cpu_seconds() -> Option<f64> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
}

#[cfg(not(unix))]
fn cpu_seconds() -> Option<f64> {
    None
}

/// A line of `/proc/self/status`, in bytes.
fn status_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

/// The counters of whole packages; parts of a package (`intel-rapl:0:0`) are in them already. Usually only root may
/// read them; then there are none.
fn counters(folder: &Path) -> Vec<Counter> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let is_package = |path: &PathBuf| {
        path.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with("intel-rapl:") && name.matches(':').count() == 1
        })
    };
    let number = |path: &Path| fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    let counter = |path: PathBuf| {
        let range = number(&path.join("max_energy_range_uj"))?;
        let path = path.join("energy_uj");
        Some(Counter { microjoules: number(&path)?, path, range })
    };
    entries.flatten().map(|entry| entry.path()).filter(is_package).filter_map(counter).collect()
}

impl Counter {
    fn since(&self) -> Option<u64> {
        let now: u64 = fs::read_to_string(&self.path).ok()?.trim().parse().ok()?;
        Some(if now >= self.microjoules {
            now - self.microjoules
        } else {
            self.range.saturating_sub(self.microjoules) + now
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_read_and_its_start_from_zero_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        for (name, energy) in [("intel-rapl:0", "900"), ("intel-rapl:0:0", "5"), ("intel-rapl:1", "100"), ("dtpm", "1")]
        {
            let zone = dir.path().join(name);
            fs::create_dir(&zone).unwrap();
            fs::write(zone.join("energy_uj"), format!("{energy}\n")).unwrap();
            fs::write(zone.join("max_energy_range_uj"), "1000\n").unwrap();
        }
        let mut found = counters(dir.path());
        found.sort_by_key(|counter| counter.microjoules);
        assert_eq!(found.iter().map(|counter| counter.microjoules).collect::<Vec<_>>(), [100, 900]);
        fs::write(dir.path().join("intel-rapl:0/energy_uj"), "50\n").unwrap();
        fs::write(dir.path().join("intel-rapl:1/energy_uj"), "170\n").unwrap();
        assert_eq!(found.iter().map(Counter::since).collect::<Vec<_>>(), [Some(70), Some(150)]);
        let meter = Meter { started: Instant::now(), cpu_seconds: Some(0.0), counters: found };
        let energy = meter.energy(None).unwrap();
        assert!(energy.is_measured && energy.assumption.contains("RAPL"));
        assert_eq!(energy.joules, 220e-6);
    }

    #[test]
    fn without_a_counter_the_estimate_says_what_it_assumes() {
        let meter = Meter { started: Instant::now(), cpu_seconds: Some(0.0), counters: Vec::new() };
        let energy = meter.energy(Some(20.0)).unwrap();
        assert!(!energy.is_measured && energy.joules > 0.0, "{energy:?}");
        assert!(energy.assumption.contains("at 20 W a core (as given)"), "{}", energy.assumption);
        assert!(meter.energy(None).unwrap().assumption.contains("at 5 W a core (assumed"));
    }

    #[test]
    fn memory_is_read_from_the_status() {
        let status = "Name:\tosai\nVmHWM:\t  2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(status_bytes(status, "VmRSS:"), Some(1 << 20));
        assert_eq!(status_bytes(status, "VmHWM:"), Some(2 << 20));
        assert_eq!(status_bytes(status, "VmSwap:"), None);
    }
}
