/*
 * The methods of veld.coord.v1.Coord, a file each (rpc_*.c). What they mean is
 * said in proto/veld/coord/v1/coord.proto; who may call them in service.c's table.
 */
#ifndef VELD_COORD_SERVICE_METHODS_H
#define VELD_COORD_SERVICE_METHODS_H

#include "coord/service/call.h"

void veld_rpc_hello(struct veld_coord_call *c);
void veld_rpc_create_network(struct veld_coord_call *c);
void veld_rpc_lookup_network(struct veld_coord_call *c);
void veld_rpc_request_join(struct veld_coord_call *c);
void veld_rpc_list_joins(struct veld_coord_call *c);
void veld_rpc_answer_join(struct veld_coord_call *c);
void veld_rpc_register_member(struct veld_coord_call *c);
void veld_rpc_leave(struct veld_coord_call *c);
void veld_rpc_list_peers(struct veld_coord_call *c);
void veld_rpc_watch(struct veld_coord_call *c);
void veld_rpc_send_signal(struct veld_coord_call *c);
void veld_rpc_publish_revocations(struct veld_coord_call *c);
void veld_rpc_get_revocations(struct veld_coord_call *c);

#endif
