#include "server/observe/request_record.h"

#include <new>

#include "base/log.h"

namespace pippin::server {

std::shared_ptr<RequestRecord> make_record(const RequestObserver& observer) {
  return {new RequestRecord, [observer](RequestRecord* record) {
            try {
              if (observer) observer(*record);
            } catch (const std::bad_alloc&) {
              spdlog::warn("[http] no memory is left to note what became of a request");
            }
            delete record;
          }};
}

}  // namespace pippin::server
