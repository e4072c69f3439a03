// SPDX-License-Identifier: Apache-2.0
//! Servers that misbehave on purpose.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use anyhow::Result;

use crate::Address;

/// Starts a server that answers the first bytes of every connection with `answer` and closes it, until the
/// test's process ends.
///
/// # Errors
/// No port can be had.
pub fn answering(answer: &'static [u8]) -> Result<Address> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = Address::local(listener.local_addr()?.port());
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            // Not before the request is there: closing earlier would be a refusal.
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection.write_all(answer);
        }
    });
    Ok(address)
}
