// SPDX-License-Identifier: Apache-2.0
//! A plugin as it was built: its module in wasmtime.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::{Error, Result, anyhow, bail};
use wasmtime::{Caller, Config, Engine, Extern, ExternType, Func, Instance, Linker, Module, Store, Val};

use super::functions;
use super::guest::{Guest, Memory};
use super::imports::is_offered;
use super::state::{Shared, lock};
use crate::Gateway;

/// How many instructions one callback may take: far more than any needs, but not for ever.
const FUEL: u64 = 1_000_000_000;

pub(super) struct Wasm {
    store: RefCell<Store<Shared>>,
    instance: Instance,
    instructions: Cell<u64>,
    contexts: Cell<u32>,
}

impl Wasm {
    pub(super) fn start(path: &Path, state: &Shared) -> Result<Self> {
        let module = compiled(path)?;
        let mut linker = Linker::new(module.engine());
        for import in module.imports() {
            let (from, name) = (import.module().to_owned(), import.name().to_owned());
            let ExternType::Func(function) = import.ty() else { bail!("{from}.{name} is no function") };
            if !is_offered(Gateway::Higress, &from, &name) {
                bail!("the module imports {from}.{name}, which Higress does not offer");
            }
            let is_proxy = from == "env";
            let host_function = {
                let name = name.clone();
                move |mut caller: Caller<'_, Shared>, args: &[Val], results: &mut [Val]| {
                    let args: Vec<_> = args.iter().map(number).collect();
                    let status = if is_proxy {
                        let state = Arc::clone(caller.data());
                        functions::call(&state, &name, &args, &mut WasmMemory(&mut caller))
                    } else {
                        wasi(&mut caller, &name, &args)?
                    };
                    if let Some(result) = results.first_mut() {
                        *result = Val::I32(status.cast_signed());
                    }
                    Ok(())
                }
            };
            linker.func_new(&from, &name, function, host_function).map_err(explained)?;
        }
        let mut store = Store::new(module.engine(), Arc::clone(state));
        store.set_fuel(FUEL).map_err(explained)?;
        let instance = linker.instantiate(&mut store, &module).map_err(explained)?;
        Ok(Wasm { store: store.into(), instance, instructions: Cell::new(0), contexts: Cell::new(0) })
    }
}

/// A module, compiled once in a process.
fn compiled(path: &Path) -> Result<Module> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    static MODULES: Mutex<BTreeMap<PathBuf, Module>> = Mutex::new(BTreeMap::new());
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = modules.get(path) {
        return Ok(module.clone());
    }
    let mut config = Config::new();
    config.consume_fuel(true);
    let engine = match ENGINE.get() {
        Some(engine) => engine,
        None => ENGINE.get_or_init({
            let engine = Engine::new(&config).map_err(explained)?;
            || engine
        }),
    };
    let module = Module::from_file(engine, path).map_err(explained)?;
    modules.insert(path.to_owned(), module.clone());
    Ok(module)
}

/// With the backtrace, where there is one.
fn explained(error: wasmtime::Error) -> Error {
    anyhow!("{error:?}")
}

fn number(value: &Val) -> u64 {
    match value {
        Val::I32(number) => number.cast_unsigned().into(),
        Val::I64(number) => number.cast_unsigned(),
        _ => 0,
    }
}

impl Guest for Wasm {
    fn call(&self, function: &'static str, args: &[u32]) -> Result<u32> {
        let mut store = self.store.borrow_mut();
        let export = self.instance.get_func(&mut *store, function).ok_or_else(|| anyhow!("there is no {function}"))?;
        let args: Vec<_> = args.iter().map(|arg| Val::I32(arg.cast_signed())).collect();
        let mut results = vec![Val::I32(0); export.ty(&*store).results().len()];
        store.set_fuel(FUEL).map_err(explained)?;
        let called = export.call(&mut *store, &args, &mut results);
        let used = FUEL - store.get_fuel().map_err(explained)?;
        self.instructions.set(self.instructions.get() + used);
        called.map_err(explained)?;
        Ok(results.first().map_or(0, |result| number(result) as u32))
    }

    fn instructions(&self) -> Option<u64> {
        Some(self.instructions.get())
    }

    fn memory(&self) -> Option<usize> {
        let mut store = self.store.borrow_mut();
        Some(self.instance.get_memory(&mut *store, "memory")?.data_size(&*store))
    }

    fn next_context(&self) -> u32 {
        self.contexts.set(self.contexts.get() + 1);
        self.contexts.get()
    }
}

struct WasmMemory<'a, 'b>(&'a mut Caller<'b, Shared>);

impl WasmMemory<'_, '_> {
    fn memory(&mut self) -> Option<wasmtime::Memory> {
        self.0.get_export("memory").and_then(Extern::into_memory)
    }
}

impl Memory for WasmMemory<'_, '_> {
    const WORD: usize = 4;

    fn read(&mut self, address: u64, size: u64) -> Option<Vec<u8>> {
        let memory = self.memory()?.data(&*self.0);
        Some(memory.get(address as usize..address.checked_add(size)? as usize)?.to_vec())
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Option<()> {
        self.memory()?.write(&mut *self.0, address as usize, bytes).ok()
    }

    fn allocate(&mut self, size: usize) -> Option<u64> {
        let allocate: Func = self.0.get_export("proxy_on_memory_allocate")?.into_func()?;
        let mut result = [Val::I32(0)];
        allocate.call(&mut *self.0, &[Val::I32(i32::try_from(size).ok()?)], &mut result).ok()?;
        result.first().map(number).filter(|&address| address > 0)
    }
}

/// The functions of WASI, as Envoy has them: no arguments, no environment, no files, its own clock and log.
fn wasi(caller: &mut Caller<'_, Shared>, name: &str, args: &[u64]) -> Result<u32, wasmtime::Error> {
    const BAD_FILE: u32 = 8;
    const BAD_ADDRESS: u32 = 21;
    const NO_SUCH_FUNCTION: u32 = 52;
    let state = Arc::clone(caller.data());
    let mut memory = WasmMemory(caller);
    let done = |written: Option<()>| if written.is_some() { 0 } else { BAD_ADDRESS };
    Ok(match (name, args) {
        ("environ_get" | "args_get", _) => 0,
        ("environ_sizes_get" | "args_sizes_get", &[count, size]) => {
            done(memory.write(count, &[0; 4]).and_then(|()| memory.write(size, &[0; 4])))
        }
        ("clock_time_get", &[_, _, to]) => {
            let now = lock(&state).now.as_nanos() as u64;
            done(memory.write(to, &now.to_le_bytes()))
        }
        // Never the same twice, but the same in every run.
        ("random_get", &[to, size]) => done(memory.write(to, &vec![0x5a; size as usize])),
        ("fd_write", &[file @ (1 | 2), parts, count, written]) => match text_of(&mut memory, parts, count) {
            None => BAD_ADDRESS,
            Some(text) => {
                let level = if file == 1 { 2 } else { 4 };
                lock(&state).log.push((level, String::from_utf8_lossy(&text).trim_end().to_owned()));
                done(memory.write(written, &(text.len() as u32).to_le_bytes()))
            }
        },
        ("fd_prestat_get" | "fd_write", _) => BAD_FILE,
        ("proc_exit", &[status]) => return Err(wasmtime::Error::msg(format!("the plugin ended itself: {status}"))),
        _ => NO_SUCH_FUNCTION,
    })
}

fn text_of(memory: &mut WasmMemory<'_, '_>, parts: u64, count: u64) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    for index in 0..count {
        let part = memory.read(parts + index * 8, 8)?;
        let (address, size) = part.split_at_checked(4)?;
        let [address, size] = [address, size].map(|word| word.try_into().map(u32::from_le_bytes));
        text.extend(memory.read(address.ok()?.into(), size.ok()?.into())?);
    }
    Some(text)
}
