pub mod failure;
pub mod ffi;
pub mod lock;
pub mod memory;
pub mod room;
