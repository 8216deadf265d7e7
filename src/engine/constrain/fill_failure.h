// What went wrong in a Constraint's fill(), which must not throw.
#pragma once

#include <exception>

#include "pippin/error.h"

namespace pippin::engine {

class FillFailure {
 public:
  /// Within a catch block. Takes no memory: the failure may be that none is left.
  void keep() noexcept { failure_ = std::current_exception(); }

  /// Throws Error where keep() was called: the one that was kept, or unavailable for an exception of another kind.
  void check() const {
    if (!failure_) return;
    try {
      std::rethrow_exception(failure_);
    } catch (const Error& error) {
      throw Error(error);
    } catch (const std::exception& error) {
      throw Error(Code::unavailable, error.what());
    }
  }

 private:
  std::exception_ptr failure_;
};

}  // namespace pippin::engine
