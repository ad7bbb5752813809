//! The simulated CloudVision as its clients see it.

mod cvprac;
