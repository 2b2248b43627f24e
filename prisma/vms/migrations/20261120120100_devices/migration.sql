-- AlterTable
ALTER TABLE "host" ADD COLUMN     "drain_operation_id" UUID,
ADD COLUMN     "held_state" "host_state",
ADD COLUMN     "overlay_address" TEXT;

-- AlterTable
ALTER TABLE "vm" ADD COLUMN     "migration_host_id" UUID,
ALTER COLUMN "kernel" DROP NOT NULL;

-- CreateTable
CREATE TABLE "vm_device" (
    "id" UUID NOT NULL,
    "vm_id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "place" INTEGER NOT NULL,
    "device" JSONB NOT NULL,

    CONSTRAINT "vm_device_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "vm_device_vm_id_place_key" ON "vm_device"("vm_id", "place");

-- AddForeignKey
ALTER TABLE "vm_device" ADD CONSTRAINT "vm_device_vm_id_fkey" FOREIGN KEY ("vm_id") REFERENCES "vm"("id") ON DELETE CASCADE ON UPDATE CASCADE;
