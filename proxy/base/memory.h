// The allocator's free memory.
#pragma once

namespace pillion {

// Gives what is free to the system. The allocator keeps it otherwise: translating ten thousand clusters leaves three
// times of what they are. Takes milliseconds to tenths of a second, and workers that allocate meanwhile wait for it, so
// it is for the main loop, after something large, and not often.
void return_free_memory();

}  // namespace pillion
