#include "server/observe/request_record.h"

namespace pippin::server {

std::shared_ptr<RequestRecord> make_record(const RequestObserver& observer) {
  return {new RequestRecord, [observer](RequestRecord* record) {
            if (observer) observer(*record);
            delete record;
          }};
}

}  // namespace pippin::server
