//! The engine's configuration, and the clock that interrupts guests.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use super::Error;
use crate::settings::Bytes;

/// How often a running guest yields to other tasks and looks at its deadline. Spin and wasmtime's own server use 10 ms;
/// but where as many guests loop as there are workers, every step of everybody else's requests waits for a yield, and
/// ten of those steps were measured to add half a second.
const TICK: Duration = Duration::from_millis(1);

/// Memories, and tables, of one component. Each reserves a slot in the pool for every request in flight, so that one
/// handler cannot take those of another. Python's and JavaScript's components have one or two.
const PARTS: u32 = 4;

/// The most core instances that a limit can allow. They cost nothing until they are made; the pool has room for as many
/// in every request.
pub(super) const MAX_INSTANCES: u32 = 64;

/// The most elements of one table, for which the pool reserves address space.
const MAX_TABLE_ELEMENTS: u32 = 100_000;

/// The most elements of tables that a limit can allow.
pub(super) const MAX_TABLES: u32 = MAX_TABLE_ELEMENTS * PARTS;

/// What a stack has for the host's functions, beside what the guest may use of it: wasmtime's own default.
const HOST_STACK: usize = (2 << 20) - (512 << 10);

/// The largest linear memory that a limit can allow: all that 32 bits address.
pub(super) const MAX_MEMORY: usize = 4 << 30;

/// Bytes of a memory and of a table that a slot keeps for the next instance instead of giving them back to the kernel.
/// With the page scan, resetting is then a copy of the pages written; measured, it halves the cost of an instance.
const KEEP_RESIDENT: usize = 1 << 20;

/// Metadata of an instance; Python's, with thousands of functions, fits.
const MAX_INSTANCE_METADATA: usize = 1 << 20;

/// Guest frames in a traceback.
const MAX_FRAMES: usize = 32;

/// What code looks like, which the compiler and whoever runs the code must agree on.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        // No component-model async: instances are a third cheaper without the support for it.
        .concurrency_support(false)
        // In the component model's specification by now; for typed handlers.
        .wasm_component_model_map(true)
        // The same bits on every machine, and in every replay: else a NaN's are the processor's. It costs floating-point code an
        // instruction or two for each operation, and other code nothing.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // Debug information is the guest's: what reads it recurses and allocates as it says, in this process.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(MAX_FRAMES));
    config
}

/// An engine that runs code, with room for so many instances at once.
pub(super) fn engine(instances: u32, stack: Bytes) -> wasmtime::Result<Engine> {
    let parts = instances.saturating_mul(PARTS);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_core_instances(instances.saturating_mul(MAX_INSTANCES))
        .total_memories(parts)
        .total_tables(parts)
        .max_core_instances_per_component(MAX_INSTANCES)
        .max_memories_per_component(PARTS)
        .max_tables_per_component(PARTS)
        .max_memories_per_module(PARTS)
        .max_tables_per_module(PARTS)
        .max_component_instance_size(MAX_INSTANCE_METADATA)
        .max_core_instance_size(MAX_INSTANCE_METADATA)
        .max_memory_size(MAX_MEMORY)
        .table_elements(MAX_TABLE_ELEMENTS as usize)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    let mut config = config();
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool))
        .max_wasm_stack(stack.0)
        .async_stack_size(stack.0 + HOST_STACK);
    Engine::new(&config)
}

/// Advances the engine's epoch while guests run, and sleeps while none does: an idle host costs no CPU.
#[derive(Debug)]
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    running: AtomicUsize,
    stopped: AtomicBool,
}

/// Keeps the ticker ticking.
#[derive(Debug)]
pub(super) struct Ticking<'a>(&'a Ticker);

impl Ticker {
    pub(super) fn start(engine: &Engine) -> Result<Self, Error> {
        let shared = Arc::new(Shared { running: AtomicUsize::new(0), stopped: AtomicBool::new(false) });
        let (state, engine) = (Arc::clone(&shared), engine.weak());
        let tick = move || {
            while !state.stopped.load(Ordering::Acquire) {
                if state.running.load(Ordering::Acquire) == 0 {
                    // Started while we look, a guest unparks us, and that is remembered.
                    thread::park();
                    continue;
                }
                thread::sleep(TICK);
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => return,
                }
            }
        };
        let thread = thread::Builder::new()
            .name("epoch".to_owned())
            .spawn(tick)
            .map_err(|error| Error(format!("no thread for the epoch: {error}")))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Ticks as long as the guard lives.
    pub(super) fn tick(&self) -> Ticking<'_> {
        if self.shared.running.fetch_add(1, Ordering::AcqRel) == 0
            && let Some(handle) = &self.thread
        {
            handle.thread().unpark();
        }
        Ticking(self)
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.shared.running.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        if let Some(handle) = self.thread.take() {
            handle.thread().unpark();
            handle.join().ok();
        }
    }
}
