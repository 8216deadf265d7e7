// A member that is touched without its mutex: clang must refuse it (check.sh), or it does not check the others either.
#include "base/mutex.h"

class Counter {
 public:
  void add() { ++count_; }

 private:
  pippin::Mutex mutex_;
  int count_ GUARDED_BY(mutex_) = 0;
};

int main() { Counter().add(); }
