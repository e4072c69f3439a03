// SPDX-License-Identifier: Apache-2.0
//! What the gateway needs of a plugin that runs, whatever way.

use anyhow::Result;

/// An instance of a plugin.
pub(super) trait Guest {
    /// Calls a function that the plugin exports; 0 if it gives nothing.
    ///
    /// # Errors
    /// It trapped.
    fn call(&self, function: &'static str, args: &[u32]) -> Result<u32>;

    /// How many instructions it has executed, where they can be counted.
    fn instructions(&self) -> Option<u64>;

    /// How many bytes its memory has, where it has one of its own.
    fn memory(&self) -> Option<usize>;

    /// The number for its next context.
    fn next_context(&self) -> u32;
}

/// The plugin's memory during a host call.
pub(super) trait Memory {
    /// How many bytes an address has.
    const WORD: usize;

    fn read(&mut self, address: u64, size: u64) -> Option<Vec<u8>>;

    fn write(&mut self, address: u64, bytes: &[u8]) -> Option<()>;

    /// Asks the plugin for memory.
    fn allocate(&mut self, size: usize) -> Option<u64>;

    fn write_word(&mut self, address: u64, value: u64) -> Option<()> {
        let bytes = value.to_le_bytes();
        self.write(address, bytes.get(..Self::WORD)?)
    }
}
