#include "kernels/route.h"

#include "kernels/portable/kernels.h"

namespace bramble::kernels {
namespace {

constexpr Row<RouteFn> kRouteRows[] = {
    {"route/portable", kNothing, portable::Route},
};

}  // namespace

Rows<RouteFn> RouteRows() { return kRouteRows; }

}  // namespace bramble::kernels
