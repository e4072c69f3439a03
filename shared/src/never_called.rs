// SPDX-License-Identifier: Apache-2.0
//! The `proxy-wasm` crate offers the gateway's functions as methods of the traits that a stream implements.
//! This crate calls them elsewhere (`host`), but every method of a trait object stays in the module, and with
//! it what it calls. Doing nothing in their place makes each module 7 KB smaller.

/// Methods, by the signature that they share, that do nothing.
macro_rules! never_called {
    ($($names:tt $args:tt -> $result:ty;)*) => { $($crate::never_called::never_called!(@each $names $args -> $result);)* };
    (@each [$($name:ident)*] $args:tt -> $result:ty) => {
        $($crate::never_called::never_called!(@one $name $args -> $result);)*
    };
    (@one $name:ident ($($arg:ty),*) -> $result:ty) => {
        fn $name(&self, $(_: $arg),*) -> $result {
            Default::default()
        }
    };
}

/// Those of `HttpContext`.
macro_rules! http_context_never_called {
    () => {
        $crate::never_called::never_called! {
            [get_http_request_headers get_http_request_trailers
                get_http_response_headers get_http_response_trailers] () -> Vec<(String, String)>;
            [get_http_request_headers_bytes get_http_request_trailers_bytes
                get_http_response_headers_bytes get_http_response_trailers_bytes] () -> Vec<(String, Vec<u8>)>;
            [get_http_request_header get_http_request_trailer
                get_http_response_header get_http_response_trailer] (&str) -> Option<String>;
            [get_http_request_header_bytes get_http_request_trailer_bytes
                get_http_response_header_bytes get_http_response_trailer_bytes] (&str) -> Option<Vec<u8>>;
            [set_http_request_headers set_http_request_trailers
                set_http_response_headers set_http_response_trailers] (Vec<(&str, &str)>) -> ();
            [set_http_request_headers_bytes set_http_request_trailers_bytes
                set_http_response_headers_bytes set_http_response_trailers_bytes] (Vec<(&str, &[u8])>) -> ();
            [set_http_request_header set_http_request_trailer
                set_http_response_header set_http_response_trailer] (&str, Option<&str>) -> ();
            [set_http_request_header_bytes set_http_request_trailer_bytes
                set_http_response_header_bytes set_http_response_trailer_bytes] (&str, Option<&[u8]>) -> ();
            [add_http_request_header add_http_request_trailer
                add_http_response_header add_http_response_trailer] (&str, &str) -> ();
            [add_http_request_header_bytes add_http_request_trailer_bytes
                add_http_response_header_bytes add_http_response_trailer_bytes] (&str, &[u8]) -> ();
            [remove_http_request_header remove_http_request_trailer
                remove_http_response_header remove_http_response_trailer] (&str) -> ();
            [get_http_request_body get_http_response_body] (usize, usize) -> Option<Vec<u8>>;
            [set_http_request_body set_http_response_body] (usize, usize, &[u8]) -> ();
            [resume_http_request reset_http_request resume_http_response reset_http_response] () -> ();
            [send_http_response] (u32, Vec<(&str, &str)>, Option<&[u8]>) -> ();
            [send_grpc_response] (proxy_wasm::types::GrpcStatusCode, Option<&str>, Vec<(&str, &[u8])>) -> ();
        }
    };
}

/// Those of `Context`.
macro_rules! context_never_called {
    () => {
        $crate::never_called::never_called! {
            [get_property] (Vec<&str>) -> Option<Vec<u8>>;
            [set_property] (Vec<&str>, Option<&[u8]>) -> ();
            [get_shared_data] (&str) -> (Option<Vec<u8>>, Option<u32>);
            [register_shared_queue] (&str) -> u32;
            [resolve_shared_queue] (&str, &str) -> Option<u32>;
            [get_http_call_response_headers get_http_call_response_trailers] () -> Vec<(String, String)>;
            [get_http_call_response_headers_bytes get_http_call_response_trailers_bytes
                get_grpc_stream_initial_metadata get_grpc_stream_trailing_metadata] () -> Vec<(String, Vec<u8>)>;
            [get_http_call_response_header get_http_call_response_trailer] (&str) -> Option<String>;
            [get_http_call_response_header_bytes get_http_call_response_trailer_bytes
                get_grpc_stream_initial_metadata_value
                get_grpc_stream_trailing_metadata_value] (&str) -> Option<Vec<u8>>;
            [get_http_call_response_body get_grpc_call_response_body] (usize, usize) -> Option<Vec<u8>>;
            [send_grpc_stream_message] (u32, Option<&[u8]>, bool) -> ();
            [cancel_grpc_call cancel_grpc_stream close_grpc_stream] (u32) -> ();
            [get_grpc_status] () -> (u32, Option<String>);
            [done] () -> ();
        }
    };
}

pub(crate) use {context_never_called, http_context_never_called, never_called};
