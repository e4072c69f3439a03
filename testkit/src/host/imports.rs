// SPDX-License-Identifier: Apache-2.0
//! What a module may import: the functions that the gateways offer.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use wasmparser::{Parser, Payload};

use crate::Gateway;

/// The functions of `env` that a module of ABI 0.2.1 finds in any Envoy.
/// (proxy-wasm-cpp-host, `exports.h` `FOR_ALL_HOST_FUNCTIONS` and `wasm.cc` `registerCallbacks`.)
const ENVOY: &[&str] = &[
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_dequeue_shared_queue",
    "proxy_done",
    "proxy_enqueue_shared_queue",
    "proxy_get_buffer_bytes",
    "proxy_get_buffer_status",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_size",
    "proxy_get_header_map_value",
    "proxy_get_log_level",
    "proxy_get_metric",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_get_status",
    "proxy_grpc_call",
    "proxy_grpc_cancel",
    "proxy_grpc_close",
    "proxy_grpc_send",
    "proxy_grpc_stream",
    "proxy_http_call",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_record_metric",
    "proxy_register_shared_queue",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_resolve_shared_queue",
    "proxy_send_local_response",
    "proxy_set_buffer_bytes",
    "proxy_set_effective_context",
    "proxy_set_header_map_pairs",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
];

/// Those that only Higress has. (The same files of its own proxy-wasm-cpp-host.)
const HIGRESS: &[&str] = &[
    "proxy_get_upstream_hosts",
    "proxy_inject_encoded_data_to_filter_chain",
    "proxy_redis_call",
    "proxy_redis_init",
    "proxy_set_upstream_override_host",
];

/// The functions of `wasi_snapshot_preview1`. (`FOR_ALL_WASI_FUNCTIONS`, without the later additions.)
const WASI: &[&str] = &[
    "args_get",
    "args_sizes_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_close",
    "fd_fdstat_get",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_read",
    "fd_seek",
    "fd_write",
    "path_open",
    "proc_exit",
    "random_get",
];

/// Whether a gateway offers a function to modules.
#[must_use]
pub fn is_offered(gateway: Gateway, module: &str, function: &str) -> bool {
    match module {
        "env" => ENVOY.contains(&function) || (gateway == Gateway::Higress && HIGRESS.contains(&function)),
        "wasi_snapshot_preview1" => WASI.contains(&function),
        _ => false,
    }
}

/// What a module imports: module and name of each function, in order.
///
/// # Errors
/// It is no module.
pub fn imports(module: &Path) -> Result<Vec<(String, String)>> {
    let bytes = fs::read(module).with_context(|| format!("cannot read {}", module.display()))?;
    let mut imports = Vec::new();
    for payload in Parser::new(0).parse_all(&bytes) {
        if let Payload::ImportSection(section) = payload? {
            for import in section.into_imports() {
                let import = import?;
                imports.push((import.module.to_owned(), import.name.to_owned()));
            }
        }
    }
    imports.sort();
    Ok(imports)
}
