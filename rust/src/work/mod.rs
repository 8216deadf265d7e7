pub mod fuse;
pub mod turns;
pub mod workshop;
