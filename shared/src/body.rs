// SPDX-License-Identifier: Apache-2.0
//! Reading and changing a whole body.

use proxy_wasm::types::BufferType;

use crate::host;

/// The body buffers of the gateway.
pub(crate) trait Buffer {
    const BUFFER: BufferType;
}

/// A whole body, of a request or of a response. Its headers have gone on.
#[expect(private_bounds, reason = "only this crate knows which buffers there are")]
pub trait ReadBody: Buffer {
    /// A copy of the body; empty if there is none.
    fn bytes(&self) -> Vec<u8> {
        host::buffer(Self::BUFFER)
    }
}

/// Marks a body that was asked for with `body`, to be read.
#[derive(Debug)]
pub struct ReadOnly(());

/// Marks a body that was asked for with `body_mut`, to be changed.
#[derive(Debug)]
pub struct Editable(());

/// A whole body that can be changed: its `content-length` was taken away before its headers went on.
///
/// A message without a body cannot get one here: it stays as it is.
pub trait EditBody: ReadBody {
    /// Puts `bytes` in the place of the body.
    fn replace(&mut self, bytes: impl AsRef<[u8]>) {
        set::<Self>(0, usize::MAX, bytes.as_ref());
    }

    /// Puts `bytes` behind the body.
    fn append(&mut self, bytes: impl AsRef<[u8]>) {
        set::<Self>(usize::MAX, 0, bytes.as_ref());
    }

    /// Puts `bytes` in front of the body.
    fn prepend(&mut self, bytes: impl AsRef<[u8]>) {
        set::<Self>(0, 0, bytes.as_ref());
    }
}

fn set<B: Buffer + ?Sized>(start: usize, replaced_size: usize, bytes: &[u8]) {
    if host::set_buffer(B::BUFFER, start, replaced_size, bytes).is_err() {
        // Not an error: a client brings it about with a HEAD.
        log::debug!("body not changed: the message has none");
    }
}
