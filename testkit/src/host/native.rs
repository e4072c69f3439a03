// SPDX-License-Identifier: Apache-2.0
//! A plugin linked into the test: the gateway's functions as ordinary ones, and the plugin's called directly.
//! Each instance has a thread of its own, as its state is the thread's.
#![expect(unsafe_code, reason = "what a gateway does with a module's memory, it does here with our own")]

use std::cell::{Cell, RefCell};
use std::panic;
use std::ptr;
use std::slice;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread;

use anyhow::{Result, anyhow};

use super::functions;
use super::guest::{Guest, Memory};
use super::state::Shared;

thread_local! {
    /// The gateway of the plugin that runs on this thread.
    static GATEWAY: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

/// Says that the plugin is linked into this program, with its name. Only a program that says so refers to the
/// plugin's functions: what follows is generic for no other reason.
pub trait Linked: 'static {
    /// The name of its package.
    const PACKAGE: &'static str;
}

type Call = (&'static str, Vec<u32>);

pub(super) struct Native {
    calls: Sender<Call>,
    results: Receiver<Option<u32>>,
    contexts: Cell<u32>,
}

impl Native {
    pub(super) fn start<P: Linked>(state: &Shared) -> Self {
        let (calls, incoming) = channel::<Call>();
        let (outgoing, results) = channel();
        let state = Arc::clone(state);
        thread::spawn(move || {
            GATEWAY.set(Some(state));
            for (function, args) in incoming {
                if outgoing.send(call::<P>(function, &args)).is_err() {
                    break;
                }
            }
        });
        Native { calls, results, contexts: Cell::new(0) }
    }
}

impl Guest for Native {
    /// A plugin that panics ends the process: `extern "C"` functions do not unwind.
    fn call(&self, function: &'static str, args: &[u32]) -> Result<u32> {
        self.calls.send((function, args.to_vec()))?;
        self.results.recv()?.ok_or_else(|| anyhow!("there is no {function}"))
    }

    fn instructions(&self) -> Option<u64> {
        None
    }

    fn memory(&self) -> Option<usize> {
        None
    }

    fn next_context(&self) -> u32 {
        self.contexts.set(self.contexts.get() + 1);
        self.contexts.get()
    }
}

unsafe extern "C" {
    safe fn _initialize();
    safe fn proxy_on_memory_allocate(size: usize) -> *mut u8;
    safe fn proxy_on_context_create(context: u32, root: u32);
    safe fn proxy_on_vm_start(root: u32, size: usize) -> bool;
    safe fn proxy_on_configure(root: u32, size: usize) -> bool;
    safe fn proxy_on_request_headers(context: u32, count: usize, ended: bool) -> u32;
    safe fn proxy_on_request_body(context: u32, size: usize, ended: bool) -> u32;
    safe fn proxy_on_request_trailers(context: u32, count: usize) -> u32;
    safe fn proxy_on_response_headers(context: u32, count: usize, ended: bool) -> u32;
    safe fn proxy_on_response_body(context: u32, size: usize, ended: bool) -> u32;
    safe fn proxy_on_response_trailers(context: u32, count: usize) -> u32;
    safe fn proxy_on_http_call_response(root: u32, token: u32, headers: usize, body: usize, trailers: usize);
    safe fn proxy_on_redis_call_response(root: u32, token: u32, status: u32, size: usize);
    safe fn proxy_on_log(context: u32);
    safe fn proxy_on_done(context: u32) -> bool;
    safe fn proxy_on_delete(context: u32);
}

fn call<P: Linked>(function: &str, args: &[u32]) -> Option<u32> {
    let size = |number: u32| number as usize;
    Some(match (function, args) {
        ("_initialize", []) => {
            initialize::<P>();
            0
        }
        ("proxy_on_context_create", &[context, root]) => {
            proxy_on_context_create(context, root);
            0
        }
        ("proxy_on_vm_start", &[root, bytes]) => proxy_on_vm_start(root, size(bytes)).into(),
        ("proxy_on_configure", &[root, bytes]) => proxy_on_configure(root, size(bytes)).into(),
        ("proxy_on_request_headers", &[id, count, ended]) => proxy_on_request_headers(id, size(count), ended != 0),
        ("proxy_on_request_body", &[id, bytes, ended]) => proxy_on_request_body(id, size(bytes), ended != 0),
        ("proxy_on_request_trailers", &[id, count]) => proxy_on_request_trailers(id, size(count)),
        ("proxy_on_response_headers", &[id, count, ended]) => proxy_on_response_headers(id, size(count), ended != 0),
        ("proxy_on_response_body", &[id, bytes, ended]) => proxy_on_response_body(id, size(bytes), ended != 0),
        ("proxy_on_response_trailers", &[id, count]) => proxy_on_response_trailers(id, size(count)),
        ("proxy_on_http_call_response", &[root, token, headers, body, trailers]) => {
            proxy_on_http_call_response(root, token, size(headers), size(body), size(trailers));
            0
        }
        ("proxy_on_redis_call_response", &[root, token, status, bytes]) => {
            proxy_on_redis_call_response(root, token, status, size(bytes));
            0
        }
        ("proxy_on_log", &[id]) => {
            proxy_on_log(id);
            0
        }
        ("proxy_on_done", &[id]) => proxy_on_done(id).into(),
        ("proxy_on_delete", &[id]) => {
            proxy_on_delete(id);
            0
        }
        _ => return None,
    })
}

/// Starts the plugin, on one thread at a time: it sets up the log of the whole process.
fn initialize<P: Linked>() {
    static STARTING: Mutex<()> = Mutex::new(());
    static HOOK: Once = Once::new();
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut hook = None;
    // A panic is shown as in any test, not by the plugin, whose gateway may be gone with it.
    HOOK.call_once(|| hook = Some(panic::take_hook()));
    _initialize();
    if let Some(hook) = hook {
        panic::set_hook(Box::new(move |info| {
            let log = GATEWAY.with_borrow(|gateway| Some(gateway.as_ref()?.try_lock().ok()?.log.clone()));
            for (_, line) in log.unwrap_or_default() {
                eprintln!("{} logged: {line}", P::PACKAGE);
            }
            hook(info);
        }));
    }
}

struct Own;

impl Memory for Own {
    const WORD: usize = size_of::<usize>();

    fn read(&mut self, address: u64, size: u64) -> Option<Vec<u8>> {
        if size == 0 {
            return Some(Vec::new());
        }
        // SAFETY: the plugin gives an address and a size of its own memory.
        (address > 0).then(|| unsafe { slice::from_raw_parts(address as *const u8, size as usize) }.to_vec())
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Option<()> {
        if !bytes.is_empty() {
            let to = (address > 0).then_some(address as *mut u8)?;
            // SAFETY: the plugin gives the address of a variable of that size, or has just allocated it.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        }
        Some(())
    }

    fn allocate(&mut self, size: usize) -> Option<u64> {
        Some(proxy_on_memory_allocate(size) as u64)
    }
}

fn host_call(function: &str, args: &[u64]) -> u32 {
    const INTERNAL_FAILURE: u32 = 10;
    let gateway = GATEWAY.with_borrow(Option::clone);
    gateway.map_or(INTERNAL_FAILURE, |gateway| functions::call(&gateway, function, args, &mut Own))
}

/// Defines the functions that plugins import: an address or a size is `usize`.
macro_rules! host_functions {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name($($arg: $type),*) -> u32 {
            host_call(stringify!($name), &[$($arg as u64),*])
        }
    )*};
}

host_functions! {
    proxy_log(level: u32, text: usize, size: usize);
    proxy_get_log_level(to: usize);
    proxy_get_current_time_nanoseconds(to: usize);
    proxy_set_tick_period_milliseconds(period: u32);
    proxy_get_property(path: usize, path_size: usize, to: usize, size_to: usize);
    proxy_set_property(path: usize, path_size: usize, value: usize, value_size: usize);
    proxy_get_buffer_bytes(buffer: u32, start: usize, size: usize, to: usize, size_to: usize);
    proxy_set_buffer_bytes(buffer: u32, start: usize, size: usize, data: usize, data_size: usize);
    proxy_get_header_map_pairs(map: u32, to: usize, size_to: usize);
    proxy_set_header_map_pairs(map: u32, pairs: usize, size: usize);
    proxy_get_header_map_value(map: u32, name: usize, name_size: usize, to: usize, size_to: usize);
    proxy_add_header_map_value(map: u32, name: usize, name_size: usize, value: usize, value_size: usize);
    proxy_replace_header_map_value(map: u32, name: usize, name_size: usize, value: usize, value_size: usize);
    proxy_remove_header_map_value(map: u32, name: usize, name_size: usize);
    proxy_continue_stream(kind: u32);
    proxy_close_stream(kind: u32);
    proxy_send_local_response(status: u32, details: usize, details_size: usize, body: usize, body_size: usize,
        headers: usize, headers_size: usize, grpc_status: i32);
    proxy_http_call(cluster: usize, cluster_size: usize, headers: usize, headers_size: usize, body: usize,
        body_size: usize, trailers: usize, trailers_size: usize, timeout: u32, to: usize);
    proxy_redis_init(service: usize, service_size: usize, user: usize, user_size: usize, password: usize,
        password_size: usize, timeout: u32);
    proxy_redis_call(service: usize, service_size: usize, query: usize, query_size: usize, to: usize);
    proxy_set_effective_context(context: u32);
    proxy_done();
    // The crate `proxy-wasm` names these too; the gateway of a test has none of them.
    proxy_get_shared_data(key: usize, key_size: usize, to: usize, size_to: usize, cas_to: usize);
    proxy_set_shared_data(key: usize, key_size: usize, value: usize, value_size: usize, cas: u32);
    proxy_register_shared_queue(name: usize, name_size: usize, to: usize);
    proxy_resolve_shared_queue(vm: usize, vm_size: usize, name: usize, name_size: usize, to: usize);
    proxy_dequeue_shared_queue(queue: u32, to: usize, size_to: usize);
    proxy_enqueue_shared_queue(queue: u32, value: usize, value_size: usize);
    proxy_grpc_call(upstream: usize, upstream_size: usize, service: usize, service_size: usize, method: usize,
        method_size: usize, metadata: usize, metadata_size: usize, message: usize, message_size: usize,
        timeout: u32, to: usize);
    proxy_grpc_stream(upstream: usize, upstream_size: usize, service: usize, service_size: usize, method: usize,
        method_size: usize, metadata: usize, metadata_size: usize, to: usize);
    proxy_grpc_send(token: u32, message: usize, message_size: usize, ended: bool);
    proxy_grpc_cancel(token: u32);
    proxy_grpc_close(token: u32);
    proxy_get_status(code_to: usize, to: usize, size_to: usize);
    proxy_call_foreign_function(name: usize, name_size: usize, args: usize, args_size: usize, to: usize,
        size_to: usize);
    proxy_define_metric(kind: u32, name: usize, name_size: usize, to: usize);
    proxy_get_metric(metric: u32, to: usize);
    proxy_record_metric(metric: u32, value: u64);
    proxy_increment_metric(metric: u32, offset: i64);
}
