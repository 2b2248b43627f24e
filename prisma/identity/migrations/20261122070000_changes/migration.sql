-- Who changed which setting, and who gave or took which role.

-- CreateTable
CREATE TABLE "setting_changes" (
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "before" JSONB,
    "after" JSONB,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "by" UUID NOT NULL,

    CONSTRAINT "setting_changes_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "role_changes" (
    "id" UUID NOT NULL,
    "user_id" UUID NOT NULL,
    "tenant_id" UUID NOT NULL,
    "before" "role",
    "after" "role",
    "at" TIMESTAMPTZ(3) NOT NULL,
    "by" UUID,

    CONSTRAINT "role_changes_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "setting_changes_name_id_idx" ON "setting_changes"("name", "id");

-- CreateIndex
CREATE INDEX "role_changes_tenant_id_id_idx" ON "role_changes"("tenant_id", "id");
